"""The part of a verification that reads every file and every row."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa

from analytics.files import MissingFile, TornFile, stored_file
from analytics.table import IDENTITY, AddedFile, LogEntry, ShardPaths, place_text
from analytics.verification.findings import Finding, Kind
from events import UnreadableEvent, header_of
from foundation.bucket import Bucket
from foundation.kinesis import SequenceNumber

# Named one by one up to this many; a broken lake has millions.
MOST_NAMED = 20
_CHUNK = 10_000
# Sequence numbers as text of one length sort as numbers do; they have at most 56 digits.
_DIGITS = 64
_SUB_DIGITS = 12
_COLUMNS = [*IDENTITY, "occurred_at", "_shard", "_sequence_number", "_sub_sequence_number"]
_PADDED = re.compile(rf"\b(\d{{{_DIGITS}}})\.(\d{{{_SUB_DIGITS}}})\b")
_KEY = f"lpad(_sequence_number, {_DIGITS}, '0') || '.' || lpad(_sub_sequence_number::VARCHAR, {_SUB_DIGITS}, '0')"


@dataclass(frozen=True)
class StreamRecord:
    """One user record that the stream retains. `set_apart` when the dead letters have it."""

    shard_id: str
    place: SequenceNumber
    data: bytes
    set_apart: bool = False


class RowChecks:
    """Fills a database from the files, and asks it.

    `covered` is up to where the log has each shard, `logged` what it still tells of each application's numbers.
    """

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        bucket: Bucket,
        covered: Mapping[str, SequenceNumber],
        logged: Mapping[tuple[str, int], LogEntry],
    ) -> None:
        self._database = database
        self._bucket = bucket
        self._logged = logged
        database.execute(
            "CREATE TABLE lake (file INT, shard VARCHAR, key VARCHAR, order_id VARCHAR, event_id VARCHAR, day DATE)"
        )
        database.execute(
            "CREATE TABLE file (file INT, path VARCHAR, file_day DATE, file_shard VARCHAR, lo VARCHAR, hi VARCHAR)"
        )
        database.execute("CREATE TABLE covered (shard VARCHAR, covered_hi VARCHAR)")
        for shard_id, place in covered.items():
            database.execute("INSERT INTO covered VALUES (?, ?)", [shard_id, _key(place)])

    def read(self, files: Iterable[AddedFile]) -> Iterator[Finding]:
        """Each file: there, with its size, its rows, and the footer that belongs to its name."""
        for index, file in enumerate(files):
            try:
                opened = stored_file(self._bucket, file)
                rows = opened.read(columns=_COLUMNS)
            except MissingFile as error:
                yield Finding(Kind.MISSING_OBJECT, _without_fix(error))
                continue
            except (TornFile, pa.ArrowException, OSError) as error:
                yield Finding(
                    Kind.TORN_OBJECT, _without_fix(error) if isinstance(error, TornFile) else f"{file.path}: {error}"
                )
                continue
            footer = {key.decode(): value.decode() for key, value in (opened.metadata.metadata or {}).items()}
            yield from self._footer(index, file, footer)
            self._insert(index, rows)

    def rows(self) -> Iterator[Finding]:
        """No record twice, each in its day's file, in its batch's range, and behind what the log covers."""
        yield from self._named(Kind.DOUBLED_ROW, _DOUBLED)
        yield from self._named(Kind.MISPLACED_ROW, _MISPLACED)
        yield from self._named(Kind.ROW_OUT_OF_RANGE, _OUT_OF_RANGE)
        yield from self._named(Kind.ROW_AHEAD_OF_LOG, _AHEAD_OF_LOG)

    def against(self, stream: Iterable[StreamRecord]) -> tuple[list[Finding], dict[str, int]]:
        """Each retained record that the log covers is a row, or its event is, or it was set apart; no row is more."""
        self._database.execute(
            "CREATE TABLE stream (shard VARCHAR, key VARCHAR, order_id VARCHAR, event_id VARCHAR, set_apart BOOL)"
        )
        records = iter(stream)
        while chunk := list(islice(records, _CHUNK)):
            orders, events = zip(*(_identity(record.data) for record in chunk), strict=True)
            incoming = pa.table(
                {
                    "shard": [record.shard_id for record in chunk],
                    "key": [_key(record.place) for record in chunk],
                    "order_id": pa.array(orders, pa.string()),
                    "event_id": pa.array(events, pa.string()),
                    "set_apart": [record.set_apart for record in chunk],
                }
            )
            self._database.register("incoming", incoming)
            self._database.execute("INSERT INTO stream FROM incoming")
            self._database.unregister("incoming")
        self._database.execute(_JUDGED)
        findings = [*self._named(Kind.MISSING_RECORD, _MISSING), *self._named(Kind.UNKNOWN_ROW, _UNKNOWN)]
        fates = dict(self._database.execute("SELECT fate, count(*) FROM judged GROUP BY fate").fetchall())
        names = ("in_the_lake", "waiting", "set_apart", "duplicate", "missing")
        return findings, {"retained": sum(fates.values()), **{f"retained_{name}": fates.get(name, 0) for name in names}}

    def _footer(self, index: int, file: AddedFile, footer: Mapping[str, str]) -> Iterator[Finding]:
        paths = ShardPaths.of_file(file.path)
        number = paths.batch_number(file.path) if paths else None
        if paths is None or number is None:
            self._name(index, file)
            return
        named = {"stream": paths.stream, "shard": paths.shard_id, "n": str(number.n), "epoch": str(number.epoch)}
        found = {name: footer.get(name) for name in named}
        lo, hi = footer.get("lo", ""), footer.get("hi", "")
        entry = self._logged.get((paths.application, number.n))
        if found != named or (entry and (footer.get("batch_id"), hi) != (entry.batch_id, place_text(entry.hi))):
            yield Finding(Kind.FOREIGN_FOOTER, f"{file.path} says of itself: {dict(footer)}")
            self._name(index, file)
            return
        before = self._logged.get((paths.application, number.n - 1))
        if before and lo != place_text(before.hi):
            yield Finding(
                Kind.GAP_IN_RANGES,
                f"{file.path} begins after {lo}, and the batch before it ends at {place_text(before.hi)}",
            )
        self._name(index, file, paths.shard_id, _key_of_text(lo), _key_of_text(hi))

    def _name(self, index: int, file: AddedFile, *batch: str) -> None:
        """`batch`: its shard, and the places it lies between; of a file that is no shard's there are none."""
        values = [index, file.path, file.day, *(batch or (None, None, None))]
        self._database.execute("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?)", values)

    def _insert(self, index: int, rows: pa.Table) -> None:
        self._database.register("incoming", rows)
        self._database.execute(
            f"INSERT INTO lake SELECT {index}, _shard, {_KEY}, order_id, event_id, occurred_at::DATE FROM incoming"  # noqa: S608
        )
        self._database.unregister("incoming")

    def _named(self, kind: Kind, query: str) -> Iterator[Finding]:
        told = self._database.execute(f"SELECT what FROM ({query}) q(what) ORDER BY what").fetchmany(MOST_NAMED + 1)  # noqa: S608
        for (what,) in told[:MOST_NAMED]:
            yield Finding(kind, _readable(what))
        if len(told) > MOST_NAMED:
            yield Finding(kind, f"and more of them; only {MOST_NAMED} are named")


# Each answers with one text a finding.
_DOUBLED = """
SELECT shard || ' ' || key || ' is there ' || count(*) || ' times, in ' || string_agg(DISTINCT path, ', ')
FROM lake JOIN file USING (file) GROUP BY shard, key HAVING count(*) > 1
"""
_MISPLACED = """
SELECT shard || ' ' || key || ', of ' || day || ', is in ' || path
FROM lake JOIN file USING (file) WHERE day <> file_day
"""
_OUT_OF_RANGE = """
SELECT shard || ' ' || key || ' is in ' || path
FROM lake JOIN file USING (file) WHERE hi IS NOT NULL AND (shard <> file_shard OR key <= lo OR key > hi)
"""
_AHEAD_OF_LOG = """
SELECT shard || ' ' || key || ' is in ' || path || '; the log has the shard up to ' || coalesce(covered_hi, 'nothing')
FROM lake JOIN file USING (file) LEFT JOIN covered USING (shard)
WHERE NOT starts_with(shard, 'backfill/') AND key > coalesce(covered_hi, '')
"""
_MISSING = """
SELECT shard || ' ' || key || coalesce(': event ' || event_id, ': unreadable, and no dead letter has it')
FROM judged WHERE fate = 'missing'
"""
_UNKNOWN = """
SELECT lake.shard || ' ' || lake.key || ' is in ' || path
FROM lake JOIN file USING (file)
JOIN (SELECT shard, min(key) AS oldest, max(key) AS newest FROM stream GROUP BY shard) retained
  ON lake.shard = retained.shard AND lake.key BETWEEN oldest AND newest
ANTI JOIN stream ON lake.shard = stream.shard AND lake.key = stream.key
"""
_JUDGED = """
CREATE TABLE judged AS SELECT stream.shard, stream.key, order_id, event_id, CASE
  WHEN stream.key > coalesce(covered_hi, '') THEN 'waiting'
  WHEN (stream.shard, stream.key) IN (SELECT (shard, key) FROM lake) THEN 'in_the_lake'
  WHEN set_apart THEN 'set_apart'
  WHEN (order_id, event_id) IN (SELECT (order_id, event_id) FROM lake) THEN 'duplicate'
  ELSE 'missing'
END AS fate FROM stream LEFT JOIN covered ON stream.shard = covered.shard
"""


def _key(place: SequenceNumber) -> str:
    return f"{place.number:0>{_DIGITS}}.{place.sub:0>{_SUB_DIGITS}}"


def _key_of_text(place: str) -> str:
    """Of a place as a footer has it; "None" is before everything."""
    if place == "None":
        return ""
    number, _, sub = place.partition(".")
    return _key(SequenceNumber(number, int(sub)))


def _readable(what: str) -> str:
    """With places as people know them."""
    return _PADDED.sub(lambda match: f"{int(match[1])}.{int(match[2])}", what)


def _identity(data: bytes) -> tuple[str | None, str | None]:
    try:
        event = header_of(data)
    except UnreadableEvent:
        return None, None
    return event.order_id, event.event_id


def _without_fix(error: Exception) -> str:
    return str(error).partition(". fix:")[0]
