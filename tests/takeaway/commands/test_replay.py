"""`takeaway replay`: what it says, as text and as facts, and its exit codes."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

import takeaway.replay
from takeaway import cli
from takeaway.commands import running
from takeaway.replay import Replay

DONE = Replay(7, 5_000, texts_missing=2, newer=1, letters=3)


@pytest.fixture
def replaying(monkeypatch: pytest.MonkeyPatch) -> Any:
    def replaying(done: Replay) -> list[str]:
        given = list[str]()

        def replayed(spec: Any, *_: object) -> Replay:
            given.append(spec.name)
            return done

        monkeypatch.setattr(running, "resolved", dict)
        monkeypatch.setattr(takeaway.replay, "replayed", replayed)
        return given

    return replaying


def test_it_says_what_was_given_and_what_the_lake_lacks(replaying: Any) -> None:
    given = replaying(DONE)
    done = CliRunner().invoke(cli.app, ["replay", "tracker"])
    assert (done.exit_code, given) == (0, ["tracker"])
    assert done.stdout.splitlines() == [
        "5,000 events of version 7 of the lake given to tracker",
        "the lake lacks 2 names and addresses whose keys are gone, 1 event of newer releases and 3 dead letters",
    ]
    told = json.loads(CliRunner().invoke(cli.app, ["replay", "promo_issuer", "--json"]).stdout)
    assert (told["version"], told["events"], told["cut_short"]) == (7, 5_000, False)


def test_one_that_was_stopped_ends_with_1_and_without_a_lake_there_is_no_history(replaying: Any) -> None:
    replaying(Replay(7, 0, cut_short=True))
    assert CliRunner().invoke(cli.app, ["replay", "tracker"]).exit_code == 1
    replaying(Replay(None, 0))
    done = CliRunner().invoke(cli.app, ["replay", "tracker"])
    assert (done.exit_code, done.stdout) == (0, "there is no lake yet, and so no history\n")


def test_a_consumer_that_there_is_not_is_named(replaying: Any) -> None:
    replaying(DONE)
    done = CliRunner().invoke(cli.app, ["replay", "chef"])
    assert done.exit_code != 0
    assert "no consumer is called 'chef'" in str(done.exception)
