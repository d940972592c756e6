"""Proof, from the log, the footers and the rows, that the lake has every record once. Reads only."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
from deltalake.exceptions import DeltaError

from analytics.archiving import Verdict, judge
from analytics.files import scratch
from analytics.table import (
    DATA_PREFIX,
    LOG_PREFIX,
    OFFSETS_PREFIX,
    CommitLog,
    LogEntry,
    LoggedCommit,
    Offsets,
    ShardPaths,
    Snapshot,
    is_ours,
    object_key,
    place_text,
    read_offsets,
)
from analytics.verification.findings import Finding, Kind
from analytics.verification.rows import RowChecks, StreamRecord
from foundation.bucket import Bucket
from foundation.kinesis import SequenceNumber

_LOG_FILE = re.compile(r"(\d{20})\.json")
# An archiver goes on meanwhile: what seems to disagree is looked at so often before it is believed.
_LOOKS = 3


@dataclass(frozen=True)
class Verified:
    """What was found, and what was looked at. `counts` has numbers by their names, in the order they are told."""

    findings: tuple[Finding, ...]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.findings


@dataclass(frozen=True)
class _Shard:
    paths: ShardPaths
    offsets: Offsets | None
    version: int
    logged_batch_id: str | None


def verify(
    bucket: Bucket, log: CommitLog, stream: Iterable[StreamRecord] | None = None, *, memory: int | None = None
) -> Verified:
    """`stream` are the records that the stream still retains, read after this was called.

    Every file is read, one at a time; what does not fit into memory goes to disk.
    """
    if not log.exists():
        return _without_log(bucket)
    try:
        snapshot, history, shards = _looked_at(bucket, log)
    except (DeltaError, OSError) as error:
        return Verified((Finding(Kind.LOG_UNREADABLE, f"the table cannot be opened: {error}"),))
    findings = [
        *_log_files(bucket, snapshot),
        *_commits(history),
        *(finding for shard in shards for finding in _offsets(bucket, shard)),
        *_ranges(history),
        *_objects(bucket, snapshot),
    ]
    files = snapshot.all_files()
    with scratch(*([memory] if memory else [])) as database:
        checks = RowChecks(database, bucket, _covered(history, shards), _logged(history))
        findings += checks.read(files)
        findings += checks.rows()
        counts = {
            "files": len(files),
            "rows": sum(file.rows or 0 for file in files),
            "bytes": sum(file.size for file in files),
            "days": len({file.day for file in files}),
            "shards": len(shards),
            "commits": snapshot.version,
            "duplicates_removed": sum(entry.dropped for commit in history for entry in commit.entries.values()),
        }
        findings += _account(history, counts["rows"])
        if stream is not None:
            told, against = checks.against(stream)
            counts |= against
            findings += told
    return Verified(tuple(findings), counts)


def _without_log(bucket: Bucket) -> Verified:
    left = [key for prefix in (DATA_PREFIX, OFFSETS_PREFIX) for key in bucket.keys(prefix)]
    if not left:
        return Verified((), {"rows": 0})
    return Verified(
        (Finding(Kind.LOG_UNREADABLE, f"the log is gone, and {len(left)} objects are there, as {left[0]}"),)
    )


def _looked_at(bucket: Bucket, log: CommitLog) -> tuple[Snapshot, list[LoggedCommit], list[_Shard]]:
    """Offsets first, then the log: what they say is committed, it shows. Once more while they seem to disagree."""
    for look in range(_LOOKS):
        offsets = {}
        for key in bucket.keys(OFFSETS_PREFIX):
            stream, shard_id = key.removeprefix(OFFSETS_PREFIX).removesuffix(".json").split("/", 1)
            offsets[ShardPaths(stream, shard_id)] = _read(bucket, key)
        snapshot = log.snapshot()
        history = list(snapshot.history())
        logged = {paths for commit in history for name in commit.entries if (paths := ShardPaths.of(name))}
        shards = []
        for paths in sorted({*offsets, *logged}, key=lambda paths: paths.application):
            entry = next(
                (commit.entries[paths.application] for commit in history if paths.application in commit.entries), None
            )
            version = snapshot.version_of(paths.application)
            batch_id = entry.batch_id if entry and entry.n == version else None
            shards.append(_Shard(paths, offsets.get(paths), version, batch_id))
        if look == _LOOKS - 1 or not any(list(_offsets(bucket, shard)) for shard in shards):
            break
    return snapshot, history, shards


def _read(bucket: Bucket, key: str) -> Offsets | None:
    try:
        held = read_offsets(bucket, key)
    except msgspec.MsgspecError:
        return None
    return held.offsets if held else None


def _log_files(bucket: Bucket, snapshot: Snapshot) -> Iterator[Finding]:
    """Numbered without a hole, up to the version that a reader sees."""
    names = [key.removeprefix(LOG_PREFIX) for key in bucket.keys(LOG_PREFIX)]
    versions = sorted(int(match[1]) for name in names if (match := _LOG_FILE.fullmatch(name)))
    if not versions:
        return
    holes = sorted(set(range(versions[0], versions[-1])) - set(versions))
    if holes:
        yield Finding(Kind.LOG_HAS_A_HOLE, f"the log lacks versions {holes[0]} to {holes[-1]} ({len(holes)} of them)")
    if versions[-1] < snapshot.version:
        yield Finding(
            Kind.LOG_HAS_A_HOLE, f"the log ends with version {versions[-1]}, and its checkpoint is {snapshot.version}"
        )


def _commits(history: Iterable[LoggedCommit]) -> Iterator[Finding]:
    for commit in history:
        if not commit.entries and commit.operation not in _HARMLESS:
            yield Finding(
                Kind.FOREIGN_COMMIT, f"version {commit.version} of the log is a {commit.operation} by somebody else"
            )


# What changes no rows: the table made, its columns added to, its files vacuumed, its history shortened.
_HARMLESS = frozenset({"CREATE TABLE", "ADD COLUMN", "ADD COLUMNS", "SET TBLPROPERTIES", "VACUUM START", "VACUUM END"})


def _offsets(bucket: Bucket, shard: _Shard) -> Iterator[Finding]:
    """What the shard's object says, against the log."""
    paths, offsets, version = shard.paths, shard.offsets, shard.version
    if offsets is None:
        there = bucket.read(paths.offsets_key)
        if there is None:
            yield Finding(Kind.OFFSETS_LOST, f"{paths.offsets_key} is gone; the log has {version} batches of the shard")
        elif _read(bucket, paths.offsets_key) is None:
            yield Finding(
                Kind.OFFSETS_UNREADABLE, f"{paths.offsets_key} is no offsets object ({len(there.body)} bytes)"
            )
        return
    verdict = judge(offsets, version, shard.logged_batch_id)
    told = f"{paths.application}: the log has batch {version}, the offsets n={offsets.n}"
    if verdict is Verdict.FOREIGN and shard.logged_batch_id is not None:
        yield Finding(Kind.OFFSETS_DISAGREE, f"{told}, and another batch stands in the pending one's place")
    elif verdict is Verdict.ASTRAY:
        ahead = version < (offsets.pending.n - 1 if offsets.pending else offsets.n)
        yield Finding(Kind.OFFSETS_AHEAD_OF_LOG if ahead else Kind.OFFSETS_BEHIND_LOG, told)


def _ranges(history: list[LoggedCommit]) -> Iterator[Finding]:
    """A shard's batches are numbered one by one, but for fences, and none goes back."""
    before: dict[str, tuple[int, int, tuple[int, int]]] = {}
    for commit in reversed(history):
        for application, entry in commit.entries.items():
            if ShardPaths.of(application) is None:
                continue
            hi = entry.hi.key if entry.hi else (0, 0)
            version, n, last = before.get(application, (0, 0, (0, 0)))
            # A fence takes the number behind the pending batch's, whose own stays free.
            steps = (1, 2) if entry.batch_id is None else (1,)
            if n and (entry.n - n not in steps or hi < last):
                yield Finding(
                    Kind.GAP_IN_RANGES,
                    f"{application}: batch {n} of version {version} is followed by batch {entry.n} of {commit.version}"
                    + (f", which goes back to {place_text(entry.hi)}" if hi < last else ""),
                )
            before[application] = (commit.version, entry.n, hi)


def _objects(bucket: Bucket, snapshot: Snapshot) -> Iterator[Finding]:
    """What lies in the folder and is no file of ours, and what says that the log was once further."""
    visible = {object_key(file.path): file for file in snapshot.all_files()}
    for file in visible.values():
        if not is_ours(file.path):
            yield Finding(Kind.FOREIGN_FILE, f"the log shows {file.path}")
    applications: dict[ShardPaths, int] = {}
    for stored in bucket.listed(DATA_PREFIX):
        path = stored.key.removeprefix(object_key(""))
        if stored.key in visible:
            continue
        if not is_ours(path):
            yield Finding(Kind.FOREIGN_OBJECT, f"{path} ({stored.size} bytes) was not written by takeaway")
        elif paths := ShardPaths.of_file(path):
            number = paths.batch_number(path)
            applications[paths] = max(applications.get(paths, 0), number.n if number else 0)
    for paths, n in applications.items():
        # A file is one ahead of the log while its commit is on its way, and two where a fence may stand between.
        version = snapshot.version_of(paths.application)
        if n > version + 1:
            yield Finding(
                Kind.FILES_AHEAD_OF_LOG, f"{paths.application}: there are files of batch {n}, the log has {version}"
            )


def _account(history: list[LoggedCommit], rows: int) -> Iterator[Finding]:
    """Where the log still tells everything: what was added, less the duplicates, is what is there."""
    entries = [(name, entry) for commit in history for name, entry in commit.entries.items()]
    if not history or history[-1].version != 0 or any(entry.rows is None for _, entry in entries):
        return
    added = sum(entry.rows or 0 for name, entry in entries if not name.startswith("compact/"))
    dropped = sum(entry.dropped for name, entry in entries if name.startswith("compact/"))
    if added - dropped != rows:
        yield Finding(
            Kind.ROWS_UNACCOUNTED,
            f"the commits brought {added:,} rows and compactions removed {dropped:,} duplicates; there are {rows:,}",
        )


def _logged(history: list[LoggedCommit]) -> dict[tuple[str, int], LogEntry]:
    return {(name, entry.n): entry for commit in history for name, entry in commit.entries.items()}


def _covered(history: list[LoggedCommit], shards: list[_Shard]) -> dict[str, SequenceNumber]:
    """Up to where the log has each shard, by its id."""
    covered: dict[str, SequenceNumber] = {}
    for commit in history:
        for name, entry in commit.entries.items():
            paths = ShardPaths.of(name)
            if paths and entry.hi:
                covered.setdefault(paths.shard_id, entry.hi)
    for shard in shards:
        # The log's files may be younger than the shard's last batch.
        if shard.offsets and shard.offsets.hi:
            covered.setdefault(shard.paths.shard_id, shard.offsets.hi)
    return covered
