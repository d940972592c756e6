# Everything runs in .venv, made from requirements.lock. `make` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=
# The local AWS of demo, up and test: embedded, localstack or docker. docs/backends.md tells them apart.
BACKEND ?=
ON := $(if $(BACKEND),--backend $(BACKEND))
# What `make test` also runs on LocalStack: the flow as a user runs it, and what we rely on. About four minutes.
ON_EVERY_BACKEND := tests/end_to_end/test_demo.py tests/contracts tests/takeaway/test_backends.py

.DEFAULT_GOAL := help
.PHONY: help install demo up down test chaos unit check format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

install: $(INSTALLED) ## make .venv from requirements.lock

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: takeaway needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing)"; \
	  echo "fix: install one and name it, for example: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "making $(VENV): about a minute, once"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## watch orders flow for about a minute; ends with the audit's receipt and a report
	@$(BIN)/takeaway demo $(ON) $(ARGS)

up: install ## start the local AWS, the API, the consumers and restaurants, and print a curl
	@$(BIN)/takeaway up $(ON) $(ARGS)

down: install ## stop what `make up` started
	@$(BIN)/takeaway down

test: install ## all tests, the flow also on LocalStack if Python 3.13 is there; BACKEND=localstack: on that one only
ifeq ($(BACKEND),)
	@$(BIN)/python -m pytest -m "not chaos" $(ARGS)
ifeq ($(ARGS),)
	@if localstack/host.sh check >/dev/null 2>&1; then \
	  echo "and now on LocalStack"; \
	  TAKEAWAY_TEST_BACKEND=localstack $(BIN)/python -m pytest -m "(local_aws or end_to_end) and not chaos" $(ON_EVERY_BACKEND); fi
endif
else
	@TAKEAWAY_TEST_BACKEND=$(BACKEND) $(BIN)/python -m pytest -m "(local_aws or end_to_end) and not chaos" $(ARGS)
endif

chaos: install ## kill, freeze and disturb the real processes, and audit what is left; about six minutes
	@$(BIN)/python -m pytest -m chaos $(ARGS)

unit: install ## the tests that start no process, in seconds
	@$(BIN)/python -m pytest -n 2 -m "not local_aws and not end_to_end and not slow" $(ARGS)

check: install ## ruff, mypy --strict, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## stop what runs, and remove what make and takeaway made
	@if [ -x $(BIN)/takeaway ]; then $(BIN)/takeaway down; fi
	rm -rf $(VENV) .takeaway .localstack build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
