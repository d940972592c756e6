"""Events that are in the lake more than once: published again after a lost answer, each time a record of its own.

Compaction keeps the first to arrive, and leaves no event in two compacted files. What it has not seen yet, readers
leave out by themselves, whatever days the copies are of: the answer is the same before and after.
"""

from collections.abc import Iterable
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from analytics.files import scratch
from analytics.reading.pulled import Pulled, pulling
from analytics.table import IDENTITY, PLACE, STREAM_ORDER

_EVENT = ", ".join(IDENTITY)
# Hashes first: most lakes have no repeats, and then the ids themselves need not be held. What looks like a repeat by
# its hash is judged by its ids.
_SUSPECTS = f"SELECT hash({_EVENT}) AS suspect FROM records GROUP BY suspect HAVING count(*) > 1"  # noqa: S608
_REPEATS = f"""
SELECT order_id, {", ".join(PLACE)}
FROM records SEMI JOIN suspects ON hash({_EVENT}) = suspect
QUALIFY row_number() OVER (PARTITION BY {_EVENT} ORDER BY {STREAM_ORDER}) > 1
"""  # noqa: S608 - words of ours
_SHARED_DAYS = """
SELECT DISTINCT event_date FROM settled SEMI JOIN (SELECT DISTINCT order_id FROM fresh) USING (order_id)
"""


def shared_days(fresh: ds.Dataset, settled: ds.Dataset) -> set[date]:
    """The days of `settled` with an order that `fresh` has too: no other day has an event of `fresh`.

    Reads one column of either, the order's id.
    """
    ids, of_days = Pulled(fresh, ["order_id"]), Pulled(settled, ["order_id", "event_date"])
    with scratch() as connection, pulling(connection, fresh=ids, settled=of_days):
        return {day for (day,) in connection.sql(_SHARED_DAYS).fetchall()}


def find_repeats(records: ds.Dataset | pa.Table) -> pa.Table:
    """The records whose event an earlier one has already brought: their `order_id` and the columns of `PLACE`."""
    with scratch() as connection:
        with pulling(connection, records=Pulled(records, IDENTITY)):
            suspects = connection.sql(_SUSPECTS).to_arrow_table()
        if not suspects.num_rows:
            return records.schema.empty_table().select(["order_id", *PLACE])
        connection.register("suspects", suspects)
        with pulling(connection, records=Pulled(records, (*IDENTITY, *PLACE, "_arrived_at"))):
            repeats: pa.Table = connection.sql(_REPEATS).to_arrow_table()
            return repeats


def without(records: pa.Table, repeats: pa.Table) -> pa.Table:
    """The records that are no repeats, in another order."""
    if not repeats.num_rows:
        return records
    suspected = pc.is_in(records["order_id"], value_set=repeats["order_id"])
    suspects, left_out = records.filter(suspected), set(_places(repeats))
    kept = [place not in left_out for place in _places(suspects)]
    return pa.concat_tables([records.filter(pc.invert(suspected)), suspects.filter(pa.array(kept, pa.bool_()))])


def _places(records: pa.Table) -> Iterable[tuple[object, ...]]:
    return zip(*(records[column].to_pylist() for column in PLACE), strict=True)
