"""Which process is given what secret, and that no command makes a key that no API reads with."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from consumers.specs import CONSUMERS
from takeaway.errors import UserError
from takeaway.local import processes
from takeaway.local.aws import local_environ, new_key, save_environ, saved_environ
from takeaway.stack import environment, flow
from takeaway.stack.environment import signing

LOCAL = local_environ("http://127.0.0.1:4566", new_key())
NAME = "TAKEAWAY_TOKEN_KEY"
REAL = {"AWS_REGION": "eu-west-1"}


def given_to(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that `up` starts it with."""
    heard: dict[str, str] = {}

    def start(_service: Any, *, environ: dict[str, str], logs: Path) -> processes.Running:
        heard.update(environ)
        return processes.Running(name, os.getpid(), 0.0, str(logs))

    monkeypatch.setattr(flow, "start_process", start)
    flow.Stack(home, following=False, environ={**processes.without_secrets(), **LOCAL}).start(name)
    return heard


@pytest.mark.parametrize("name", ["api", "restaurants", "load"])
@pytest.mark.parametrize("own", ["", "k" * 40])
def test_what_signs_or_reads_tokens_is_given_one_key(
    name: str, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, own)
    key = given_to(name, tmp_path, monkeypatch)[NAME]
    assert key == (tmp_path / "token.key").read_text()
    assert key == own or not own
    # A later command, in a shell without the variable, signs with the key that the API reads with.
    monkeypatch.delenv(NAME)
    assert signing(LOCAL, tmp_path)[NAME] == key
    assert stat.S_IMODE((tmp_path / "token.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", sorted(CONSUMERS))
def test_no_consumer_is_given_the_key_of_the_tokens(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "k" * 40)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of a real account")
    given = given_to(name, tmp_path, monkeypatch)
    assert NAME not in given
    assert "of a real account" not in given.values()
    assert given["AWS_ACCESS_KEY_ID"] == LOCAL["AWS_ACCESS_KEY_ID"]


def test_no_command_that_makes_no_token_resolves_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "k" * 40)
    monkeypatch.setenv("TAKEAWAY_STREAM", "orders")
    assert NAME not in environment.resolved(tmp_path)


def test_a_token_is_never_signed_with_a_new_key(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        signing(LOCAL, tmp_path / "elsewhere")
    assert str(tmp_path / "elsewhere" / "token.key") in raised.value.what
    assert "TAKEAWAY_HOME" in raised.value.fix
    assert list(tmp_path.iterdir()) == []


def test_no_key_is_made_up_for_real_aws(tmp_path: Path) -> None:
    assert signing(REAL, tmp_path, make_key=True)[NAME] == ""
    assert list(tmp_path.iterdir()) == []


def test_where_the_local_aws_is_and_its_key_are_kept_for_this_user_alone(tmp_path: Path) -> None:
    save_environ(tmp_path, LOCAL)
    assert saved_environ(tmp_path) == LOCAL
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_every_local_aws_has_a_key_of_its_own() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) >= 32 for key in keys)
