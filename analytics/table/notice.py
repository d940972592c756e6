"""What stands in the table's folder for whoever finds it there: how to read it, and how not to."""

from analytics.table.layout import NOTICE_KEY
from foundation.bucket import Bucket, WriteRefused

NOTICE = b"""\
This folder is a Delta table, not a heap of Parquet files.

Do not point read_parquet, or any reader of plain Parquet, at it: the folder also holds files that never became part of
the table, and files that newer ones have replaced. You would read rows twice, or rows that do not count.

Read it by its log, as any reader of Delta tables does, or with

    from analytics.lake import Lake
    Lake.from_environment().pandas()

`takeaway lake files` prints the files that count at this moment, for readers that know nothing of Delta.

Delete nothing here by hand. `takeaway lake vacuum` removes what nobody needs any more.
"""


def put_up_notice(bucket: Bucket) -> None:
    """Before there is anything to read wrongly. Its underscore hides it from readers, and from vacuum."""
    try:
        bucket.create(NOTICE_KEY, NOTICE)
    except WriteRefused:
        # It is there, or being written at this moment.
        return
