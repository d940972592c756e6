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
from takeaway.commands.letters import dead_letters, dropping
from takeaway.errors import UserError
from takeaway.local.aws import local_environ
from tests.support.worlds.redrive_world import SHARD, World, a_letter

pytestmark = pytest.mark.slow

LOCAL = local_environ("http://127.0.0.1:4566")
REMOTE = {"AWS_ENDPOINT_URL": "https://aws.example.com"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    def redriver(_consumer: str, _environ: Mapping[str, str], _wait: Wait, _emit: Emit) -> Any:
        return world.way()

    monkeypatch.setattr(dead_letters, "of_stack", lambda _environ: world.letters)
    monkeypatch.setattr(dead_letters, "SYSTEM_CLOCK", world.clock.clock)
    monkeypatch.setattr(dropping, "SYSTEM_CLOCK", world.clock.clock)
    for commands in (dead_letters, dropping):
        monkeypatch.setattr(commands, "stop_on_signal", threading.Event)
        monkeypatch.setattr(commands, "resolved", lambda: LOCAL)
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
    assert [row["key"] for row in json.loads(done.stdout)] == [f"orders/{SHARD}/3-0"]
    assert "left out: s3://dead-letters/archiver/note is no dead letter" in done.stderr
    groups = json.loads(dlq("ls", "--group-by", "error", "--json").stdout)
    assert [(group["consumers"], group["records"]) for group in groups] == [
        (["restaurant_notifier"], 2),
        (["archiver"], 1),
    ]
    names, *rows = dlq("ls").stdout.splitlines()
    assert names.split("\t")[:2] == ["key", "consumers"]
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
    assert f"orders/{SHARD}/11-0" in str(ambiguous.exception)
    assert isinstance(dlq("show", "nobody/").exception, UserError)


def test_a_dry_run_says_what_would_happen_and_changes_nothing(world: World) -> None:
    world.put(*(a_letter(number) for number in range(1, 12)), a_letter(12, data=b"not an event"))
    before = dict(world.bucket.objects)
    rows = json.loads(dlq("redrive", "--dry-run", "--json").stdout)
    assert [row["canary"] for row in rows] == [True] * 10 + [False] * 2
    assert [row["reads"].partition(":")[0] for row in rows] == ["order_placed"] * 11 + ["unreadable"]
    assert not any(row["done_before"] for row in rows)
    assert (world.bucket.objects, world.tickets, world.outcomes) == (before, [], {})
    world.redrive(of=[a_letter(1).key])
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
    assert told["stopped_by"][0].startswith(f"{bad.consumer}: ")
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
    world.put(a_letter(1, consumer="chef"))
    done = dlq("redrive")
    assert isinstance(done.exception, UserError)
    assert "chef" in done.exception.what
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


def test_a_record_that_several_consumers_set_apart_is_one_to_every_command(world: World) -> None:
    consumers = ("archiver", "restaurant_notifier", "user_notifier")
    world.put(*(a_letter(number, consumer=name, data=b"{") for number in (1, 2) for name in consumers))
    rows = json.loads(dlq("ls", "--json").stdout)
    assert [row["consumers"] for row in rows] == [list(consumers)] * 2
    shown = json.loads(dlq("show", rows[0]["key"], "--json").stdout)
    assert [shown["consumer"], *(other["consumer"] for other in shown["others"])] == list(consumers)
    assert json.loads(dlq("drop", rows[0]["key"], "--json").stdout) == {"counts": {"dropped": 3}, "left": []}
    assert [row["key"] for row in json.loads(dlq("ls", "--json").stdout)] == [rows[1]["key"]]


def test_letters_are_dropped_by_key_by_cause_or_all_of_a_consumer_and_found_again(world: World) -> None:
    other = a_letter(2, error=failed(KeyError("closed")))
    world.put(a_letter(1), other, a_letter(3, consumer="archiver"), a_letter(4))
    assert json.loads(dlq("drop", "--dry-run", "--json").stdout) == [
        {"key": key} for key in sorted(world.bucket.objects)
    ]
    assert dlq("drop", a_letter(1).key).exit_code == 0
    assert dlq("drop", "--error", other.stack_hash, "--reason", "geschlossen, für immer\n").exit_code == 0
    assert dlq("drop", "--consumer", "archiver").exit_code == 0
    assert world.letters.keys() == [a_letter(4).key]
    dropped = {row["key"]: row for row in json.loads(dlq("ls", "--dropped", "--json").stdout)}
    assert len(dropped) == 3
    told = dropped[f"orders/{SHARD}/2-0"]
    assert (told["reason"], told["dropped_at"]) == ("geschlossen, für immer\n", world.clock.now().isoformat())
    assert "geschlossen, für immer" in dlq("show", other.key).stdout
    assert dlq("restore", other.key).stdout == "1 restored\n"
    assert world.letters.keys() == [other.key, a_letter(4).key]
    assert isinstance(dlq("restore").exception, UserError)
    assert isinstance(dlq("drop", "nothing").exception, UserError)
    assert isinstance(dlq("drop", "--reason", "é" * 300).exception, UserError)


def test_what_is_no_letter_can_be_dropped_too(world: World) -> None:
    world.put(a_letter(1))
    world.bucket.objects |= {"archiver/note": b"hello", "archiver/orders/x/1-0.json": b"\xff{"}
    done = dlq("show", "archiver/note")
    assert isinstance(done.exception, UserError)
    assert "archiver/note is no dead letter" in done.exception.what
    assert dlq("drop", "archiver/note").exit_code == 0
    assert json.loads(dlq("drop", "--consumer", "archiver", "--json").stdout)["counts"] == {"dropped": 1}
    assert world.bucket.objects["dropped/archiver/note"] == b"hello"
    assert json.loads(dlq("ls", "--json").stdout)[0]["consumers"] == ["restaurant_notifier"]
    assert dlq("restore", "archiver/note").exit_code == 0
    assert world.bucket.objects["archiver/note"] == b"hello"


def test_many_that_cannot_be_read_are_counted(world: World) -> None:
    world.bucket.objects |= {f"archiver/note-{number}": b"hello" for number in range(9)}
    told = dlq("ls").stderr.splitlines()
    assert len(told) == dead_letters.MOST_NAMED + 1
    assert told[-1] == "left out: 4 more objects that cannot be read"


def test_dropping_on_real_aws_is_asked_about_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(a_letter(1))
    monkeypatch.setattr(dropping, "resolved", lambda: REMOTE)
    refused = dlq("drop")
    assert isinstance(refused.exception, UserError)
    assert "--yes" in refused.exception.fix
    assert world.letters.keys() == [a_letter(1).key]
    assert dlq("drop", "--yes").exit_code == 0
    assert world.letters.keys() == []


def test_a_script_does_not_drop_all_there_are_without_saying_so(world: World) -> None:
    world.put(a_letter(1))
    assert isinstance(dlq("drop").exception, UserError)
    assert world.letters.keys() == [a_letter(1).key]
    assert dlq("drop", "--yes").exit_code == 0
    assert world.letters.keys() == []


def test_on_a_terminal_dropping_is_asked_about_even_here(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(a_letter(1))
    monkeypatch.setattr(dropping, "is_terminal", lambda: True)
    assert CliRunner().invoke(cli.app, ["dlq", "drop"], input="n\n").exit_code == 1
    assert world.letters.keys() == [a_letter(1).key]
    assert CliRunner().invoke(cli.app, ["dlq", "drop"], input="y\n").exit_code == 0
    assert world.letters.keys() == []


def failed(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return raised
