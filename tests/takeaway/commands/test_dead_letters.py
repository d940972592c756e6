"""dlq ls, show, redrive as a person calls them: what is told, what is refused, and exit codes."""

import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from consumers import assembly
from foundation.clock import Wait
from foundation.diagnostics import Emit
from takeaway import cli
from takeaway.commands import dead_letters
from takeaway.errors import UserError
from takeaway.local.aws import local_environ
from tests.support.worlds.redrive_world import World, a_letter

pytestmark = pytest.mark.slow

LOCAL = local_environ("http://127.0.0.1:4566")
REMOTE = {"AWS_ENDPOINT_URL": "https://aws.example.com"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    def redriver(_consumer: str, _environ: Mapping[str, str], _wait: Wait, _emit: Emit) -> Any:
        return world.way()

    monkeypatch.setattr(dead_letters, "resolved", lambda: LOCAL)
    monkeypatch.setattr(dead_letters, "_letters", lambda _environ: world.letters)
    monkeypatch.setattr(dead_letters, "SYSTEM_CLOCK", world.clock.clock)
    monkeypatch.setattr(dead_letters, "stop_on_signal", threading.Event)
    monkeypatch.setattr(assembly, "redriver", redriver)
    return world


def dlq(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["dlq", *arguments])


def test_no_letters_are_no_finding(world: World) -> None:
    assert world.stored() == []
    for arguments in (["ls"], ["ls", "--group-by", "error"], ["redrive"], ["redrive", "--dry-run"]):
        done = dlq(*arguments)
        assert (done.exit_code, done.output) == (0, "no dead letters\n")
    assert json.loads(dlq("ls", "--json").output) == []


def test_letters_are_listed_by_consumer_and_counted_by_cause(world: World) -> None:
    world.put(a_letter(1), a_letter(2), a_letter(3, consumer="archiver"))
    world.bucket.objects["archiver/note"] = b"hello"
    done = dlq("ls", "--consumer", "archiver", "--json")
    assert [row["key"] for row in json.loads(done.stdout)] == [a_letter(3, consumer="archiver").key]
    assert "left out: s3://dead-letters/archiver/note is no dead letter" in done.stderr
    (group,) = json.loads(dlq("ls", "--group-by", "error", "--json").stdout)
    assert group["letters"] == 3
    names, *rows = dlq("ls").stdout.splitlines()
    assert names.split("\t")[:2] == ["key", "event_type"]
    assert len(rows) == 3


def test_show_takes_as_much_of_a_key_as_is_enough(world: World) -> None:
    world.put(a_letter(11), a_letter(12), a_letter(3, consumer="archiver"))
    done = dlq("show", "archiver/")
    assert done.exit_code == 0
    assert "Margherita" in done.stdout
    assert "Lovelace" not in done.stdout
    assert "Lovelace" in dlq("show", "archiver/", "--raw").stdout
    ambiguous = dlq("show", "restaurant_notifier/")
    assert isinstance(ambiguous.exception, UserError)
    assert a_letter(11).key in str(ambiguous.exception)
    assert isinstance(dlq("show", "nobody/").exception, UserError)


def test_a_dry_run_says_what_would_happen_and_changes_nothing(world: World) -> None:
    world.put(*(a_letter(number) for number in range(1, 12)), a_letter(12, data=b"not an event"))
    before = dict(world.bucket.objects)
    rows = json.loads(dlq("redrive", "--dry-run", "--json").stdout)
    assert [row["canary"] for row in rows] == [True] * 10 + [False] * 2
    assert [row["reads"].partition(":")[0] for row in rows] == ["order_placed"] * 11 + ["unreadable"]
    assert not any(row["done_before"] for row in rows)
    assert (world.bucket.objects, world.tickets, world.outcomes) == (before, [], {})
    world.redrive(of=world.stored()[:1])
    world.bucket.objects |= before
    again = {row["key"]: row["done_before"] for row in json.loads(dlq("redrive", "--dry-run", "--json").stdout)}
    assert [key for key, done in again.items() if done] == [a_letter(1).key]


def test_a_redrive_tells_its_counts_and_what_is_left(world: World) -> None:
    bad = a_letter(2, data=b"not an event")
    world.put(a_letter(1), bad)
    done = dlq("redrive", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["counts"] == {"done": 1, "failed again": 1}
    assert [(one["key"], one["fate"]) for one in told["left"]] == [(bad.key, "failed again")]
    assert "fix:" in told["stopped_by"][0]
    world.put(a_letter(3))
    assert dlq("redrive", a_letter(3).key).exit_code == 0
    assert world.left().keys() == {"order-2"}


def test_a_redrive_takes_the_letters_of_one_error(world: World) -> None:
    other = a_letter(1, error=KeyError("closed"))
    world.put(other, a_letter(2))
    assert dlq("redrive", "--error", other.stack_hash).exit_code == 0
    assert world.tickets == ["order-1"]
    assert isinstance(dlq("redrive", "--error", "nothing").exception, UserError)


def test_letters_of_a_consumer_that_is_not_here_are_refused(world: World) -> None:
    world.put(a_letter(1, consumer="promo_issuer"))
    done = dlq("redrive")
    assert isinstance(done.exception, UserError)
    assert "promo_issuer" in done.exception.what
    assert world.tickets == []


def test_real_aws_is_asked_about_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(a_letter(1))
    monkeypatch.setattr(dead_letters, "resolved", lambda: REMOTE)
    refused = dlq("redrive")
    assert isinstance(refused.exception, UserError)
    assert "--yes" in refused.exception.fix
    assert world.tickets == []
    assert dlq("redrive", "--yes").exit_code == 0
    assert world.tickets == ["order-1"]
