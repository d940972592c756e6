"""Events that are in the lake more than once: published again after a lost answer, each time a record of its own.

Compaction keeps the first to arrive. On days that it has not seen yet, readers leave the others out by themselves.
"""

from collections.abc import Iterable
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from analytics.reading.orders import STREAM_ORDER
from analytics.table import AddedFile, is_compacted

# Together unique for every record.
PLACE = ("_shard", "_sequence_number", "_sub_sequence_number")

# Hashes first: most lakes have no repeats, and then the ids themselves need not be held. What looks like a repeat by
# its hash is judged by its id.
_SUSPECTS = "SELECT hash(event_id) AS suspect FROM records GROUP BY suspect HAVING count(*) > 1"
_REPEATS = f"""
SELECT event_id, {", ".join(PLACE)}
FROM records SEMI JOIN suspects ON hash(event_id) = suspect
QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY {STREAM_ORDER}) > 1
"""  # noqa: S608 - words of ours


def doubtful(files: Iterable[AddedFile]) -> list[AddedFile]:
    """The files that may hold an event twice, or one that another of them holds too.

    Those of every day that is not compacted whole, and of the days beside it: a repeat may occur just past midnight.
    """
    files = list(files)
    fresh = {file.day for file in files if not is_compacted(file.path)}
    # guarantee: a repeat past midnight is found
    return [file for file in files if fresh & _neighbourhood(file.day)]


def find_repeats(records: ds.Dataset | pa.Table) -> pa.Table:
    """Where the events are that an earlier record has already brought: `event_id` and the columns of `PLACE`."""
    with duckdb.connect() as connection:
        connection.register("records", records)
        suspects = connection.sql(_SUSPECTS).to_arrow_table()
        if not suspects.num_rows:
            return records.schema.empty_table().select(["event_id", *PLACE])
        connection.register("suspects", suspects)
        repeats: pa.Table = connection.sql(_REPEATS).to_arrow_table()
        return repeats


def without(records: pa.Table, repeats: pa.Table) -> pa.Table:
    """The records that are no repeats, in another order."""
    if not repeats.num_rows:
        return records
    suspected = pc.is_in(records["event_id"], value_set=repeats["event_id"])
    suspects, left_out = records.filter(suspected), set(_places(repeats))
    kept = [place not in left_out for place in _places(suspects)]
    return pa.concat_tables([records.filter(pc.invert(suspected)), suspects.filter(pa.array(kept, pa.bool_()))])


def _places(records: pa.Table) -> Iterable[tuple[object, ...]]:
    return zip(*(records[column].to_pylist() for column in PLACE), strict=True)


def _neighbourhood(day: date) -> set[date]:
    # The calendar's first and last day have one neighbour.
    return {
        date.fromordinal(number)
        for number in (day.toordinal() - 1, day.toordinal(), day.toordinal() + 1)
        if date.min.toordinal() <= number <= date.max.toordinal()
    }
