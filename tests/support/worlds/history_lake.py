"""A lake in a folder that has a history's events, each record as it would have come off the stream."""

from pathlib import Path

from analytics.archiving.decode import decode_records
from analytics.files.writing import days
from analytics.lake import Lake
from foundation.kinesis.records import Record
from producers.load.history.history import HistoryPlan, ledger_beside, write_history
from tests.support.builders import NOON
from tests.support.worlds.lake_folder import FolderLake
from tests.support.worlds.lake_world import KEYS


def history_lake(folder: Path, plan: HistoryPlan) -> tuple[Lake, Path]:
    """The lake, and the ledger's folder. What is no event is left out, as an archiver sets it apart."""
    written = folder / "history.jsonl"
    write_history(plan, written)
    lines = written.read_bytes().splitlines()
    records = [
        Record(f"{number:056d}", "", line, NOON.timestamp() + number / 1000) for number, line in enumerate(lines)
    ]
    rows = decode_records("shardId-000000000000", records, KEYS).rows
    lake = FolderLake(folder / "events")
    for day, of_day in days(rows):
        lake.archive_table(day, of_day)
    return lake.lake(), ledger_beside(written)
