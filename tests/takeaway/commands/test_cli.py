"""What a person sees who does something wrong: an `error:`, a `fix:`, exit code 2, and no traceback."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from analytics.settings import LakeSettings
from events.wire import decode
from foundation.settings import from_environment
from producers.orders.tokens import TokenKey
from takeaway import cli
from takeaway.audit.verdict import LOST, Audit, Bounds, Finding
from takeaway.commands import flow, reading
from takeaway.commands.lake import customers
from takeaway.errors import UserError
from takeaway.local import backends
from takeaway.local.aws import local_environ
from takeaway.stack.time_limit import reason
from takeaway.terminal.tables import Rows, counted, in_words, show_rows
from tests.conftest import LocalAws, the_backend
from tests.support.command_line import Takeaway, run_takeaway
from tests.support.samples import SAMPLE_OF_SEED_7

# Almost every test here runs a process.
pytestmark = pytest.mark.end_to_end


@pytest.fixture
def takeaway(tmp_path: Path) -> Takeaway:
    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_takeaway(*arguments, home=tmp_path, **variables)

    return run


def expect(done: "subprocess.CompletedProcess[str]", error: str, fix: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert error in done.stderr
    assert fix in done.stderr.partition("fix:")[2]


NO_AWS = "error: no local AWS is up, and no AWS credentials are set\n"
NOWHERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}


def test_without_any_endpoint_it_says_how_to_get_one(takeaway: Takeaway) -> None:
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
    expect(takeaway("lake", "sql", "select 1", **nothing), NO_AWS, "takeaway up")
    expect(takeaway("deploy", AWS_REGION="eu-west-1", **nothing), NO_AWS, "takeaway up")
    own = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    expect(takeaway("deploy", **own, **nothing), "AWS_REGION is not set", "set AWS_REGION")


def test_half_of_the_credentials_is_named(takeaway: Takeaway) -> None:
    half = {"AWS_ACCESS_KEY_ID": "key", "AWS_REGION": "eu-west-1"}
    for command in ("deploy", "doctor"):
        told = "error: AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"
        expect(takeaway(command, **half), told, "set AWS_SECRET_ACCESS_KEY")


def test_an_endpoint_where_nobody_answers(takeaway: Takeaway) -> None:
    expect(takeaway("work", "archiver", **NOWHERE), "error: nothing answers at http://127.0.0.1:9\n", "takeaway up")


def test_a_shell_whose_variables_are_stale(takeaway: Takeaway) -> None:
    stale = {**local_environ("http://127.0.0.1:9"), "TAKEAWAY_STREAM": "s", "TAKEAWAY_LAKE_BUCKET": "lake"}
    for command in (["lake", "sql", "select 1"], ["report"]):
        done = takeaway(*command, **stale)
        expect(done, "error: nothing answers at http://127.0.0.1:9\n", "unset AWS_ENDPOINT_URL")
        assert "\x1b" not in done.stderr


def test_an_unknown_consumer_names_the_known_ones(takeaway: Takeaway) -> None:
    expect(takeaway("work", "cook", **NOWHERE), "no consumer is called 'cook'", "restaurant_notifier")


def test_a_load_that_makes_no_sense(takeaway: Takeaway) -> None:
    expect(takeaway("load", "--profile", "--rate", "5"), "--profile has a rate of its own", "--rate or --profile")
    expect(
        takeaway("load", "--seed", "7", "history", "--out", "x"), "--seed is before history", "takeaway load history"
    )
    history = ("load", "history", "--out", "x", "--days", "1")
    expect(takeaway(*history, "--scenario", "fire"), "no scenario is called 'fire'", "kitchen-meltdown")
    expect(takeaway(*history, "--fault", "gremlin=1"), "--fault gremlin=1", "duplicate")
    expect(takeaway(*history, "--fault", "late=2"), "2 is no share", "above 0")
    expect(takeaway("load", "realism", "--picture", "card.gif"), "a picture cannot be a .gif", ".svg or .png")
    expect(takeaway("audit", "--history", "none.jsonl"), "there is no file none.jsonl", "takeaway load history")


def test_a_sample_is_events_and_nothing_else_and_the_seed_is_told(takeaway: Takeaway) -> None:
    """No AWS is needed, and the bytes are those of the constant."""
    done = takeaway("load", "--seed", "7", "--sample", "1000")
    assert (done.returncode, done.stderr) == (0, "")
    assert hashlib.sha256(done.stdout.encode()).hexdigest() == SAMPLE_OF_SEED_7
    unseeded = takeaway("load", "--sample", "3")
    seed = unseeded.stderr.split()[-1]
    assert takeaway("load", "--sample", "3", "--seed", seed).stdout == unseeded.stdout
    assert len({decode(line.encode()).order_id for line in unseeded.stdout.splitlines()}) == 3


def test_a_history_that_is_there_already_is_left_alone(takeaway: Takeaway) -> None:
    history = ("load", "history", "--out", "orders.jsonl", "--days", "1")
    assert takeaway(*history).returncode == 0
    expect(takeaway(*history), "orders.jsonl or its ledger", "remove both")


def test_a_port_that_is_none(takeaway: Takeaway) -> None:
    expect(takeaway("up", TAKEAWAY_AWS_PORT="http"), "TAKEAWAY_AWS_PORT is 'http'", "1 to 65535")
    done = takeaway("serve", "--port", "70000")
    assert done.returncode == 2
    assert "65535" in done.stderr
    assert "defect" not in done.stderr


def test_a_port_already_taken(takeaway: Takeaway) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        expect(
            takeaway("up", "--aws-only", TAKEAWAY_AWS_PORT=port),
            f"port {port} on 127.0.0.1 is taken",
            "TAKEAWAY_AWS_PORT",
        )


@pytest.mark.local_aws
def test_a_stack_that_is_not_deployed(takeaway: Takeaway, local_aws: LocalAws) -> None:
    done = takeaway("work", "archiver", **local_aws.reached, TAKEAWAY_STACK="nowhere")
    expect(done, "no stack 'nowhere'", "takeaway deploy")


@pytest.mark.local_aws
def test_an_empty_lake_and_a_missing_bucket(takeaway: Takeaway, local_aws: LocalAws) -> None:
    missing = {"TAKEAWAY_LAKE_BUCKET": "no-such-bucket"}
    done = takeaway("lake", "sql", "select 1", **{**local_aws.environ, **missing})
    expect(done, "no-such-bucket", "archiver")


@pytest.mark.local_aws
def test_an_audit_without_a_ledger(takeaway: Takeaway, local_aws: LocalAws) -> None:
    expect(takeaway("audit", **local_aws.reached), "there is no ledger in", "takeaway load")


def test_a_load_towards_real_aws_is_refused(takeaway: Takeaway) -> None:
    settings = {"TAKEAWAY_STREAM": "s", "TAKEAWAY_TOKEN_KEY": "k" * 32, "AWS_REGION": "eu-west-1"}
    expect(takeaway("load", "--orders", "1", **settings), "would reach real AWS", "--yes-really-aws")


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(cli.app, ["--version"]).stdout == f"takeaway {version('takeaway')}\n"


def every_command(group: Any, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in getattr(group, "commands", {}).items():
        yield from every_command(command, *words, name)


def test_each_command_shows_its_help_by_the_short_option_too() -> None:
    every = list(every_command(typer.main.get_command(cli.app)))
    assert len(every) > 40
    for words in every:
        done = CliRunner().invoke(cli.app, [*words, "-h"])
        assert (done.exit_code, "Usage:" in done.stdout) == (0, True), words


def test_a_shell_is_given_what_can_follow() -> None:
    """By the protocol that the script of `--install-completion` speaks."""

    def offered(words: str) -> list[str]:
        asked = {"COMP_WORDS": f"takeaway {words}", "COMP_CWORD": str(len(words.split(" ")))}
        environ = {"_TAKEAWAY_COMPLETE": "complete_bash", **asked}
        return CliRunner().invoke(cli.app, [], env=environ, prog_name="takeaway").stdout.split()

    assert "restaurant_notifier" in offered("work re")
    assert offered("dlq ls --consumer arch") == ["archiver"]
    assert sorted(offered("lake v")) == ["vacuum", "verify"]


def test_help_needs_nothing_and_is_quick_to_import() -> None:
    heavy = (
        "import sys, takeaway.cli; sys.exit(any(name in sys.modules for name in ('pyarrow', 'litestar', 'deltalake')))"
    )
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0  # noqa: S603


@pytest.mark.local_aws
def test_an_empty_ledger_proves_nothing_and_is_refused(takeaway: Takeaway, local_aws: LocalAws, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = takeaway("audit", "--ignore-others", "--ledger", str(tmp_path / "empty"), **local_aws.reached)
    expect(done, "there is no ledger in", "takeaway load")


def test_an_audit_of_real_aws_is_refused_with_the_reason(takeaway: Takeaway, tmp_path: Path) -> None:
    settings = {"TAKEAWAY_STREAM": "s", "AWS_REGION": "eu-west-1"}
    expect(takeaway("audit", "--ledger", str(tmp_path), **settings), "an audit needs a local AWS", "takeaway up")


def raised(error: Callable[[], object]) -> Exception:
    try:
        error()
    except Exception as caught:  # noqa: BLE001 - whatever it is
        return caught
    raise AssertionError


def test_only_an_error_of_ours_says_its_own_fix() -> None:
    assert cli.is_ours(raised(lambda: from_environment(LakeSettings, {})))
    assert cli.is_ours(raised(lambda: TokenKey(b"short")))
    assert not cli.is_ours(raised(lambda: json.loads("fix: a foreign error")))
    assert not cli.is_ours(raised(lambda: int("fix: ")))


@pytest.fixture
def own_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("own_umask")
def test_a_defect_is_one_line_and_its_traceback_is_kept_for_those_who_mend_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail() -> None:
        raise LookupError("theirs. fix: nothing of ours")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "HOME", tmp_path / "home")
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    [kept] = (tmp_path / "home" / "defects").iterdir()
    assert told.startswith("error: a defect of takeaway: LookupError: theirs. fix: nothing of ours (test_cli.py:")
    assert f"fix: report it with what you did, and with {kept}" in told
    assert "Traceback" not in told
    assert "Traceback" in kept.read_text()
    (tmp_path / "file").write_text("where the folder should be")
    monkeypatch.setattr(cli, "HOME", tmp_path / "file")
    with pytest.raises(SystemExit):
        cli.run()
    assert "its traceback could not be kept" in capsys.readouterr().err
    monkeypatch.setattr(cli, "app", lambda: from_environment(LakeSettings, {}))
    with pytest.raises(SystemExit):
        cli.run()
    assert capsys.readouterr().err.startswith("error: TAKEAWAY_LAKE_BUCKET is not set.\nfix: `takeaway deploy`")


DELTA = (
    "Kernel error -> Generic S3 error\n  \x1b[31m↳\x1b[0m Error performing GET http://127.0.0.1:9/lake\n"
    "    \x1b[31m↳\x1b[0m Connection refused (os error 111)"
)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(DELTA), "Connection refused (os error 111)"),
        (OSError("many\nlines <Code>NoSuchBucket</Code>\nof XML"), "NoSuchBucket"),
        (OSError("\x1b[1mone\x1b[0m\nand more"), "one"),
        (OSError(), "OSError"),
    ],
)
def test_the_storage_layers_many_lines_are_told_in_one(error: OSError, told: str) -> None:
    assert reason(error) == told


def test_an_audit_prints_no_more_than_a_person_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = tuple(Finding(LOST, f"event {number}") for number in range(23))
    verdict = Audit(orders=1, events=1, quarantined=0, findings=findings, bounds=Bounds())
    for name in ("require_auditable", "settle"):
        monkeypatch.setattr(f"takeaway.audit.{name}", lambda *_, **__: None)
    monkeypatch.setattr("takeaway.audit.intended_times", lambda _: {})
    monkeypatch.setattr("takeaway.audit.audited", lambda *_, **__: (SimpleNamespace(effects=()), verdict))
    monkeypatch.setattr(reading, "resolved", dict)
    lines = CliRunner().invoke(cli.app, ["audit"]).stdout.splitlines()
    assert [line for line in lines if "lost: " in line] == [f"lost: event {number}" for number in range(20)]
    assert lines[20:22] == ["… and 3 more; --json has all", verdict.receipt]
    assert len(json.loads(CliRunner().invoke(cli.app, ["audit", "--json"]).stdout)["findings"]) == 23


def on_a_terminal(width: int, names: Sequence[str], rows: Rows) -> list[str]:
    out = StringIO()
    show_rows(names, rows, Console(file=out, force_terminal=True, color_system=None, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


AT = datetime(2026, 11, 23, 9, 18, 57, 292123, UTC)
ROWS: Rows = [{"what": "a [b]\tc", "number": 7, "at": AT}, {"what": None, "number": 1234, "at": None}]


def test_rows_that_fit_are_a_table() -> None:
    assert on_a_terminal(80, ["what", "number", "at"], ROWS) == [
        "what      number  at (UTC)",
        "─────────────────────────────────────────",
        "a [b]\\tc       7  2026-11-23 09:18:57.292",
        "            1234",
    ]


def test_rows_that_do_not_fit_are_told_downwards() -> None:
    assert on_a_terminal(38, ["what", "number", "at"], [ROWS[0], ROWS[0]]) == [
        *["what:     a [b]\\tc", "number:   7", "at (UTC): 2026-11-23 09:18:57.292"],
        *["", "what:     a [b]\\tc", "number:   7", "at (UTC): 2026-11-23 09:18:57.292"],
    ]


def test_a_pipe_gets_every_value_in_full() -> None:
    out = StringIO()
    long: Mapping[str, object] = {**ROWS[0], "what": [{"sku": "x" * 300}]}
    show_rows(["what", "number", "at"], [long, ROWS[1]], Console(file=out, width=80))
    assert out.getvalue().splitlines() == [
        "what\tnumber\tat",
        f'[{{"sku": "{"x" * 300}"}}]\t7\t2026-11-23T09:18:57.292123Z',
        "\t1234\t",
    ]


def test_the_choreography_fits_a_terminal_with_whole_names(monkeypatch: pytest.MonkeyPatch) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=80)
    monkeypatch.setattr(flow, "PlainConsole", lambda: console)
    CliRunner().invoke(cli.app, ["flow", "show"])
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[3].split() == ["restaurant_notifier", "order_placed", "restaurant_notified", "1", "min", "restaurants"]
    assert [line.split()[2] for line in lines[4:6]] == ["order_accepted", "order_rejected"]


def test_counts_and_lengths_of_time() -> None:
    assert [counted(count, "order") for count in (0, 1, 2000)] == ["0 orders", "1 order", "2,000 orders"]
    lengths = [timedelta(seconds=90), timedelta(minutes=1), timedelta(hours=2), timedelta()]
    assert [in_words(length) for length in lengths] == ["90 s", "1 min", "2 h", "0 s"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("load", "--rate", "inf"),
        ("load", "--rate", "nan"),
        ("load", "--speed", "inf"),
        ("demo", "--rate", "inf"),
        ("demo", "--speed", "nan"),
        ("up", "--speed", "inf"),
        ("restaurants", "--speed", "1e300"),
        ("audit", "--settle", "inf"),
        ("load", "history", "--out", "history", "--days", "99999999"),
        ("load", "history", "--out", "history", "--per-day", "inf"),
        ("load", "history", "--out", "history", "--start", "9999-12-31"),
        ("load", "history", "--out", "history", "--start", "0001-01-01"),
    ],
)
def test_what_has_no_end_is_refused(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli.app, list(arguments))
    assert done.exit_code != 0
    assert isinstance(done.exception, UserError) or "Invalid value for" in done.output, done.output


@pytest.mark.slow
@pytest.mark.parametrize("token", ["-abc", "--abc", "-", "plain", "-hWwk2_x.0.ab", "--jsonly"])
def test_a_token_that_begins_with_a_dash_is_a_token(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def texts(tokens: list[str]) -> dict[str, str]:
        asked.extend(tokens)
        return dict.fromkeys(tokens, "Ada")

    monkeypatch.setattr(customers, "resolved", dict)
    monkeypatch.setattr(
        "analytics.assembly.customer_keys", lambda _: SimpleNamespace(objects=SimpleNamespace(texts=texts))
    )
    done = CliRunner().invoke(cli.app, ["lake", "resolve", token, "--json"])
    assert (done.exit_code, asked) == (0, [token]), done.output


@pytest.mark.slow
@pytest.mark.local_aws
@pytest.mark.skipif(the_backend() is not backends.EMBEDDED, reason="LocalStack takes every key")
def test_a_wrong_key_is_told_with_the_way_to_the_right_one(takeaway: Takeaway, local_aws: LocalAws) -> None:
    wrong = {**local_aws.reached, "AWS_ACCESS_KEY_ID": "test"}
    told = "the access key id is not that of this local AWS"
    expect(takeaway("lake", "ls", **wrong), told, 'eval "$(takeaway env)"')
    expect(takeaway("deploy", **wrong), told, 'eval "$(takeaway env)"')


@pytest.mark.local_aws
def test_a_token_where_no_api_was_started_says_where_it_looked(takeaway: Takeaway, local_aws: LocalAws) -> None:
    expect(takeaway("token", "you", **local_aws.reached), "token.key", "TAKEAWAY_HOME")
