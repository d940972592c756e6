"""What `takeaway new consumer` writes into a checkout, what it refuses, and that it is all of it or nothing."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import consumers
import events
from consumers.specs import CONSUMERS
from events.choreography import CHOREOGRAPHY, Bound, Step
from events.drawing import mermaid
from events.orders import EVENT_TYPES, EVENTS, Event, TicketWithdrawn, UserNotified, VoucherIssued
from takeaway.errors import UserError
from takeaway.scaffold import asked as wanted
from takeaway.scaffold import texts
from takeaway.scaffold.asked import NewConsumer
from takeaway.scaffold.files import checkout, put, written
from tests.support import ROOT

NAME = "a_consumer_to_begin"
TOUCHED = ("consumers/specs.py", "events/choreography.py", "README.md")


def asked(name: str = NAME, heard: str = "order_completed", told: str | None = None, **how: Any) -> NewConsumer:
    return wanted.wanted(name, heard, told, stateful=how.get("stateful", False))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of a checkout that a new consumer changes, and the folders of those that are new."""
    for name in TOUCHED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("consumers/subscribers", "tests/consumers/subscribers"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def everything(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_is_a_module_a_test_a_line_a_step_and_an_arrow(root: Path) -> None:
    before = everything(root)
    put(written(asked(told="voucher_issued"), root))
    added = {
        str(path.relative_to(root)): [
            line for line in data.decode().splitlines() if line not in before.get(path, b"").decode().splitlines()
        ]
        for path, data in everything(root).items()
    }
    modules = (f"consumers/subscribers/{NAME}.py", f"tests/consumers/subscribers/test_{NAME}.py")
    assert added.keys() == {*TOUCHED, *modules}
    assert {f"  restaurant -- order_completed --> {NAME}", f"  {NAME} -- voucher_issued --> voucher_mailer"} <= {
        *added["README.md"]
    }
    assert all(NAME in line for line in added["README.md"])
    assert added["events/choreography.py"] == [
        f'    Step("{NAME}", OrderCompleted, (VoucherIssued,), Bound.HANDLER, owner="{NAME}"),'
    ]
    # What another consumer's line says too is not new to the file.
    part, build, *rest = added["consumers/specs.py"]
    assert part == f'        part=first_step("{NAME}"),'
    assert build == f'        build="consumers.subscribers.{NAME}:handler",'
    assert rest in ([], ["        begins=Beginning.NOW,"])
    assert "        begins=Beginning.NOW," in (root / "consumers/specs.py").read_text()
    for path in (*TOUCHED, *modules):
        assert (root / path).stat().st_mode == (root / TOUCHED[0]).stat().st_mode


def test_nothing_has_to_happen_by_a_time_because_of_it() -> None:
    new = asked(heard="order_completed, order_rejected,order_completed", told="user_notified", stateful=True)
    assert [(step.listens_to, step.publishes, step.deadline) for step in new.steps] == [
        (heard, (UserNotified,), None) for heard in new.listens_to
    ]
    assert len(new.steps) == 2
    drawn = mermaid(choreography=(*CHOREOGRAPHY, *new.steps))
    assert f"restaurant -- order_rejected --> {NAME}" in drawn


def test_a_new_event_is_imported_where_its_step_is(root: Path) -> None:
    path = root / "events/choreography.py"
    path.write_text(path.read_text().replace("    UserNotified,\n    Vou", "    Vou"))
    text = written(asked(heard="user_notified"), root)[path]
    assert "    TicketWithdrawn,\n    UserNotified,\n    VoucherIssued,\n)" in text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Loyalty", "snake_case"),
        ("loyalty-points", "snake_case"),
        ("loyalty__points", "snake_case"),
        ("_loyalty", "snake_case"),
        ("5th", "snake_case"),
        ("lambda", "snake_case"),
        ("../loyalty", "snake_case"),
        ("loyalty\n", "snake_case"),
        ("l" * 41, "snake_case"),
        ("", "snake_case"),
        ("user_notifier", "another name"),
        ("archiver", "another name"),
        ("customer", "another name"),
        ("order_placed", "another name"),
        # A process of `up`, and what the stack's own tables are called behind its name.
        ("restaurants", "another name"),
        ("keeper", "another name"),
        ("watcher", "another name"),
        ("orders", "another name"),
        ("outcomes", "another name"),
        ("states", "another name"),
        # Where dropped letters are.
        ("dropped", "another name"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        asked(name)
    assert says in refused.value.fix


@pytest.mark.parametrize("heard", ["order_cooked", "", "order_placed,", "OrderPlaced"])
def test_an_unknown_event_is_refused_with_those_there_are(heard: str) -> None:
    with pytest.raises(UserError, match="no event is called") as refused:
        asked(heard=heard)
    assert refused.value.fix == f"one of: {', '.join(EVENT_TYPES.values())}"
    with pytest.raises(UserError, match="no event is called 'order_cooked'"):
        asked(told="order_cooked")


def test_an_event_that_the_package_does_not_show_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "__all__", [name for name in events.__all__ if name != "OrderCompleted"])
    with pytest.raises(UserError, match="does not show OrderCompleted"):
        asked()


@pytest.mark.parametrize("told", ["order_placed", "order_completed", "order_expired"])
def test_what_is_told_with_an_orders_state_is_not_a_consumers_to_tell(told: str) -> None:
    with pytest.raises(UserError, match=f"{told} is the orders API's to tell") as refused:
        asked(heard="user_notified", told=told)
    assert "publish one of: restaurant_notified, user_notified, ticket_withdrawn, voucher_issued" in refused.value.fix


def test_one_that_would_hear_what_follows_from_what_it_tells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(heard="user_notified", told="voucher_issued")
    with pytest.raises(UserError, match=r"it would hear voucher_issued, .* without end"):
        asked(heard="order_completed,voucher_issued", told="voucher_issued")
    # Another answers the voucher with what it hears.
    between = Step("another", VoucherIssued, (TicketWithdrawn,), Bound.HANDLER, owner="another")
    monkeypatch.setattr(wanted, "CHOREOGRAPHY", (*CHOREOGRAPHY, between))
    with pytest.raises(UserError, match=r"it would hear ticket_withdrawn, .* without end"):
        asked(heard="ticket_withdrawn", told="voucher_issued")


def test_a_state_by_customer_is_kept_of_events_that_name_one() -> None:
    with pytest.raises(UserError, match="restaurant_notified, ticket_withdrawn names no customer") as refused:
        asked(heard="restaurant_notified,order_placed,ticket_withdrawn", stateful=True)
    assert "order_placed, order_accepted, " in refused.value.fix


def test_the_last_read_of_a_shard_is_given_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = sum(spec.reads_per_second for spec in CONSUMERS.values())
    notifier = CONSUMERS["user_notifier"]
    left = notifier.reads_per_second + 5 - spent
    monkeypatch.setitem(CONSUMERS, notifier.name, replace(notifier, reads_per_second=left - 0.25))
    asked()
    monkeypatch.setitem(CONSUMERS, notifier.name, replace(notifier, reads_per_second=left - 0.125))
    with pytest.raises(UserError, match=r"has 4\.875: there is no 0\.25 left") as refused:
        asked()
    assert "lower reads_per_second of some in consumers/specs.py" in refused.value.fix


def test_bad_input_changes_no_file(root: Path) -> None:
    (root / f"consumers/subscribers/{NAME}.py").write_text("MINE = True\n")
    before = everything(root)
    with pytest.raises(UserError, match="is there already"):
        written(asked(), root)
    for path, says in (
        ("consumers/specs.py", "has 0 lines that begin with"),
        ("events/choreography.py", "has 0 lines that begin with"),
        ("README.md", "does not have the drawing"),
    ):
        text = (root / path).read_text()
        (root / path).write_text("\n".join(line for line in text.splitlines() if "new consumer` adds" not in line))
        (root / path).write_text((root / path).read_text().replace("flowchart LR", "flowchart TD"))
        with pytest.raises(UserError, match=says):
            written(asked("another_to_begin"), root)
        (root / path).write_text(text)
    assert everything(root) == before


@pytest.mark.parametrize("refused", range(5))
def test_all_of_it_is_written_or_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, refused: int) -> None:
    before, texts_of = everything(root), written(asked(), root)
    write, full = Path.write_text, list(texts_of)[refused]

    def write_until_full(path: Path, text: str, **how: Any) -> int:
        write(path, text[:10], **how)
        if path == full:
            raise OSError(28, "No space left on device")
        return write(path, text, **how)

    monkeypatch.setattr(Path, "write_text", write_until_full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        put(texts_of)
    assert everything(root) == before


def test_it_is_for_the_checkout_whose_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkout(ROOT) == checkout(ROOT / "docs") == ROOT
    with pytest.raises(UserError, match="is not in the checkout whose code runs") as refused:
        checkout(tmp_path)
    assert refused.value.fix == f"cd {ROOT}"
    monkeypatch.setattr(consumers, "__path__", [str(tmp_path / "consumers")])
    with pytest.raises(UserError, match="that is no checkout") as refused:
        checkout(tmp_path)
    assert "clone the repository" in refused.value.fix


@pytest.mark.parametrize("heard", [EVENTS[:count] for count in range(1, len(EVENTS) + 1)], ids=len)
@pytest.mark.parametrize("told", [None, UserNotified])
@pytest.mark.parametrize("stateful", [False, True])
def test_what_is_written_is_python_in_lines_that_are_not_too_long(
    heard: tuple[type[Event], ...], told: type[Event] | None, stateful: bool
) -> None:
    new = NewConsumer("l" * 40, heard, told, stateful)
    listed, steps = f"x = [\n{texts.spec(new)}]\n", f"x = [\n{texts.steps(new)}]\n"
    for text in (texts.module(new), texts.test(new), listed, steps):
        compile(text, "", "exec")
        assert max(map(len, text.splitlines())) <= 120
