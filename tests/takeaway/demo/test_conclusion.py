"""What the demo says at its end, and why events were told again on a machine that is too busy."""

import json
from pathlib import Path

from takeaway.audit import REPEATED_EVENT, Audit, Bounds, Finding
from takeaway.audit.verdict import LOST
from takeaway.demo.conclusion import cause, findings


def a_verdict(**counts: int) -> Audit:
    found = tuple(Finding(kind, f"event {number}") for kind, count in counts.items() for number in range(count))
    return Audit(orders=1, events=1, quarantined=0, findings=found, bounds=Bounds())


def logged(folder: Path, *happened: str) -> Path:
    lines = (json.dumps({"at": "2026-03-14T12:00:00Z", "happened": name, "shard_id": "shard-1"}) for name in happened)
    (folder / "archiver.log").write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_a_few_findings_of_each_kind_are_shown_and_the_rest_is_counted() -> None:
    told = list(findings(a_verdict(**{REPEATED_EVENT: 1_007, LOST: 2})))
    assert len(told) == 5 + 2 + 1
    assert told[0] == "repeated event: event 0"
    assert told[-2:] == ["lost: event 1", "repeated event: 1,002 more"]
    assert list(findings(a_verdict())) == []


def test_leases_that_were_lost_are_why_events_were_told_again(tmp_path: Path) -> None:
    logs = logged(tmp_path, "LeaseLost", "ShardStarted", "LeaseLost")
    [means, why] = cause(a_verdict(**{REPEATED_EVENT: 1}), logs)
    assert means.startswith("the stream has an event once or more")
    assert why.startswith("consumers lost 2 leases: this machine was too busy")
    assert list(cause(a_verdict(**{LOST: 1}), logs)) == []
    assert list(cause(a_verdict(**{REPEATED_EVENT: 1}), logged(tmp_path, "ShardStarted"))) == [means]
