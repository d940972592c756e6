"""One run of the archiver over GetRecords' answers in a folder, or of each of its stages alone; prints CPU seconds."""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.archiving.columnar import read_columns
from analytics.archiving.decode import BLOCKS, _rows
from analytics.archiving.recent_ids import Window
from analytics.archiving.sink import LakeSink
from analytics.assembly import customer_keys, lake_sink
from analytics.files.writing import days, parquet
from analytics.privacy.customer_keys import CustomerKeys
from analytics.table.layout import ShardPaths, object_key, table_uri
from analytics.table.log import AddedFile, DeltaLog, LogEntry
from consumers.archiver import Archiver
from consumers.dead_letters.set_apart import SetsApart
from consumers.processing import ShardAssignment
from foundation import aws
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import Diagnostic
from foundation.ids import random_id
from foundation.kinesis.get_records import decode
from foundation.kinesis.records import Batch, Position, Record, Sentinel, SequenceNumber

SHARD = "shardId-000000000000"


class NoLetters:
    """Every record of these answers can be read."""

    def put(self, letter: Any) -> None:
        raise AssertionError(letter.error)


def archiver_of(stream: str, sink: LakeSink, keys: CustomerKeys, emit: Callable[[Diagnostic], None]) -> Archiver:
    return Archiver(
        ShardAssignment(stream, SHARD, Sentinel.TRIM_HORIZON),
        sink=sink,
        keys=keys,
        apart=SetsApart("archiver", NoLetters(), clock=SYSTEM_CLOCK, emit=emit),
        clock=SYSTEM_CLOCK,
    )


def whole(environ: dict[str, str], stream: str, files: Sequence[Path]) -> dict[str, Any]:
    """From the bytes of the answers to rows that a reader of the log sees."""
    told: list[Any] = []
    keys = customer_keys(environ)
    sink = lake_sink(environ, stream, told.append, keys)
    archiver = archiver_of(stream, sink, keys, told.append)
    bodies = [file.read_bytes() for file in files]
    began = time.process_time()
    position: Position = Sentinel.TRIM_HORIZON
    for body in bodies:
        answer = decode(body)
        archiver.process(Batch(stream, SHARD, position, tuple(answer.records), answer.millis_behind_latest))
        position = answer.records[-1].sequence_number
    archiver.flush()
    cpu = time.process_time() - began
    commits = [one for one in told if type(one).__name__ == "LakeCommitted"]
    return {"cpu": cpu, "rows": sum(one.rows for one in commits), "bytes": sum(one.size for one in commits)}


@dataclass
class Stages:
    """Each stage on what the one before it made, timed alone."""

    environ: dict[str, str]
    stream: str
    files: Sequence[Path]

    def __post_init__(self) -> None:
        self.cpu: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        bodies = [file.read_bytes() for file in self.files]
        answers = self._timed("decode GetRecords", lambda: [decode(body) for body in bodies])
        blocks = [
            answer.records[start : start + BLOCKS[0]]
            for answer in answers
            for start in range(0, len(answer.records), BLOCKS[0])
        ]
        columns = self._timed("JSON to checked columns", lambda: [_columns(block) for block in blocks])
        keys = customer_keys(self.environ)
        tables = self._timed(
            "tokens and places",
            lambda: [_rows(SHARD, block, columns[at], keys) for at, block in enumerate(blocks)],
        )
        self._timed("duplicates", lambda: _window(tables))
        rows = pa.concat_tables(tables)
        parts = self._timed("days", lambda: list(days(rows)))
        made = self._timed("Parquet", lambda: [(day, part.num_rows, parquet(part, {})) for day, part in parts])
        self._timed("upload and commit", partial(self._commit, keys, made))
        return self.cpu

    def _timed(self, name: str, stage: Callable[[], Any]) -> Any:
        began = time.process_time()
        done = stage()
        self.cpu[name] = time.process_time() - began
        return done

    def _commit(self, keys: CustomerKeys, made: Sequence[tuple[Any, int, bytes]]) -> None:
        name = self.environ["TAKEAWAY_LAKE_BUCKET"]
        bucket = Bucket(aws.client("s3", self.environ), name)
        paths, files = ShardPaths(f"{self.stream}-stages", SHARD), []
        for day, count, body in made:
            path = f"event_date={day.isoformat()}/{random_id()}.parquet"
            bucket.create(object_key(path), body)
            files.append(AddedFile(path=path, size=len(body), day=day, rows=count))
        keys.save()
        entry = LogEntry(n=1, epoch=1, batch_id="stages", hi=SequenceNumber("1"))
        log = DeltaLog(table_uri(name), aws.storage_options(self.environ), SYSTEM_CLOCK)
        log.snapshot().commit(files, {paths.application: entry})


def _columns(block: Sequence[Record]) -> pa.Table:
    columns = read_columns([record.data for record in block])
    assert columns is not None
    return columns


def _window(tables: Sequence[pa.Table]) -> None:
    window = Window()
    for rows in tables:
        assert not window.known(rows)
        window.add(rows)


def stages(environ: dict[str, str], stream: str, files: Sequence[Path]) -> dict[str, Any]:
    return Stages(environ, stream, files).run()


def main(what: str, stream: str, folder: str) -> None:
    environ = dict(os.environ)
    run = whole if what == "whole" else stages
    files = sorted(Path(folder).glob("*.json"))
    # A run before the one that counts, as the peer has: an archiver runs for weeks, and its memory is there.
    run(environ, f"{stream}-before", files[:4])
    made = run(environ, stream, files)
    print(json.dumps(made))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
