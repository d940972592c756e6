# Everything runs in .venv, made from requirements.lock. `make` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=
# The clients that benchmarks measure ours beside.
PEERS := build/peers
# The local AWS of demo, up and test: embedded, localstack or docker. docs/backends.md tells them apart.
BACKEND ?=
ON := $(if $(BACKEND),--backend $(BACKEND))
# Not among them: bench-archive-memory, which takes another half an hour.
BENCHES := bench-leases bench-publish bench-consume bench-archive bench-history bench-lake bench-mining bench-report bench-commits \
  bench-freshness bench-reads bench-failover bench-keeping bench-kcl
# Two files at a time: most tests wait for other processes, and those of a file may share a flow. In the order of
# tests/conftest.py: by xdist's own, files of many tests come first, and those of a single long one last.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
# What `make test` leaves to targets of its own.
APART := prove or chaos or interop or nightly

.DEFAULT_GOAL := help
# Every target with a description is a command, not a file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

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
	@$(BIN)/takeaway down $(ARGS)

quick: install ## the pure tests, 50 ms of CPU each at most, told when over: in 20 seconds; for the inner loop
	@$(BIN)/python -m pytest -n 2 --quick $(ARGS)

test: install ## all tests on the embedded back end; BACKEND=localstack: what needs an AWS, on that one alone
ifeq ($(BACKEND),)
	@$(PYTEST) -m "not ($(APART))" $(ARGS)
else
	@TAKEAWAY_TEST_BACKEND=$(BACKEND) $(PYTEST) -m "(local_aws or end_to_end) and not (long or $(APART))" $(ARGS)
endif

long: install ## the flows that take LocalStack a minute and more, on it; the rest there is `make test BACKEND=localstack`
	@TAKEAWAY_TEST_BACKEND=$(or $(BACKEND),localstack) $(PYTEST) -m "long and not ($(APART))" $(ARGS)

prove: install ## take each guarantee out of a copy of the code, and see its test fail; a worker for each core
	@$(BIN)/python -m pytest -n logical -m prove tests/test_guarantees.py $(ARGS)

notebook: install ## open the notebooks in JupyterLab on the lake of `make up`, or any other; ARGS=--no-browser
	@$(BIN)/python -m takeaway.programs.notebook $(ARGS)

run-notebooks: install ## run all notebooks on that lake without JupyterLab; build/run-notebooks has them
	@$(BIN)/python -m tests.support.notebooks build/run-notebooks

chaos: install ## kill, freeze and disturb the real processes, and audit what is left; BACKEND=localstack: not in CI
	@TAKEAWAY_TEST_BACKEND=$(or $(BACKEND),embedded) $(PYTEST) -m chaos $(ARGS)

chaos-lake: install ## kill two archivers with -9 at every step of their commits, 56 times; about five minutes
	@LAKE_KILL_ROUNDS=$(or $(ROUNDS),4) $(PYTEST) -n 0 -m chaos tests/end_to_end/test_lake_kills.py $(ARGS)

chaos-outcomes: install ## refuse what notifiers remember for ten minutes, and count the mails of each customer
	@REFUSED_SECONDS=$(or $(REFUSED_SECONDS),600) $(PYTEST) -n 0 -m chaos tests/end_to_end/test_refused_outcomes.py $(ARGS)

chaos-relay: install ## kill the orders API between table and stream 20 times, and see another one tell it; four minutes
	@RELAY_KILLS=$(or $(KILLS),20) $(PYTEST) -n 0 tests/end_to_end/test_relay.py $(ARGS)

doctor-troubles: install ## twelve troubles on a running stack, and how soon the doctor names each; about five minutes
	@$(PYTEST) -n 0 -m chaos tests/end_to_end/test_doctor.py $(ARGS)

interop: install ## beside the real KCL: change the engine and keep the place, and read one stream together; needs Java
	@$(BIN)/python -m pytest -m interop tests/interop $(ARGS)

states: install ## the larger state spaces, and every property with ten times as many examples
	@$(PYTEST) -m "nightly or hypothesis" --examples nightly $(ARGS)

nightly: ## the longer proofs: states, chaos-lake, -outcomes and -relay, interop, long and chaos on LocalStack; over an hour
	@.ci/nightly

bench: ## every benchmark, one after the other: the better part of an hour; the KCL's needs Java
	@for each in $(BENCHES); do echo "== $$each"; $(MAKE) --no-print-directory $$each || exit 1; done

bench-kcl: install ## start, stop, restart and memory against the KCL's; needs Java; about seven minutes
	@$(BIN)/python -m tests.benchmarks.kcl $(ARGS)

bench-consume: install $(PEERS)/.installed ## what reading costs, beside boto3 and async-kinesis; about five minutes
	@$(BIN)/python -m tests.benchmarks.consume $(PEERS)/bin/python $(ARGS)

bench-publish: install $(PEERS)/.installed ## what publishing costs and keeps, beside aiokpl, async-kinesis and boto3; ten minutes
	@$(BIN)/python -m tests.benchmarks.publish $(PEERS)/bin/python $(ARGS)

bench-leases: install ## how long a plan for 10,000 leases takes
	@$(BIN)/python -m tests.benchmarks.leases

bench-archive: install ## the archiver's CPU for an event, beside json with pandas; about four minutes
	@$(BIN)/python -m tests.benchmarks.archive $(ARGS)

bench-archive-memory: install ## the archiver's memory over millions of events and 30 days; ARGS="10000000": about half an hour
	@$(BIN)/python -m tests.benchmarks.archive_memory $(ARGS)

bench-failover: install ## kill -9 and SIGTERM of real workers, 20 times; about four minutes
	@$(BIN)/python -m tests.benchmarks.failover

bench-lake: install ## five business questions of ten million events on S3, beside DuckDB alone; about ten minutes
	@$(BIN)/python -m tests.benchmarks.lake $(ARGS)

bench-mining: install ## the flow mined from a million events, before compaction and after; about a minute
	@$(BIN)/python -m tests.benchmarks.mining $(ARGS)

bench-report: install ## the report of ten million events: its memory, seconds and bytes; about ten minutes
	@$(BIN)/python -m tests.benchmarks.report $(ARGS)

bench-commits: install ## commits a second of one process to eight, and of a fleet; ARGS=localstack; about eight minutes
	@$(BIN)/python -m tests.benchmarks.commits $(ARGS)

bench-keeping: install ## 4,000 commits with the lake's keeper and without: their time, the log's bytes; twenty minutes
	@$(BIN)/python -m tests.benchmarks.keeping $(ARGS)

bench-freshness: install ## from Kinesis to visible in the lake, under load and on an idle stream; about seven minutes
	@$(BIN)/python -m tests.benchmarks.freshness $(ARGS)

bench-reads: install ## what each consumer reads of a shard under full load, and how far it lags; about six minutes
	@$(BIN)/python -m tests.benchmarks.reads $(ARGS)

bench-history: install ## 90 days of orders to a file: time, memory, and the audit
	@$(BIN)/python -m tests.benchmarks.history

$(PEERS)/.installed: tests/benchmarks/peers.lock
	@$(BIN)/python -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

lambda-zip: install ## build/takeaway-lambda.zip: the notifiers as a Lambda function; see docs/engines.md
	@$(BIN)/python -m consumers.entrypoints.lambda_zip build/takeaway-lambda.zip

check: install ## ruff, mypy --strict, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: install ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## stop what runs, and remove what make and takeaway made
	@if [ -x $(BIN)/takeaway ]; then $(BIN)/takeaway down --yes; fi
	rm -rf $(VENV) .takeaway .localstack build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
