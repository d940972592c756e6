"""What reading the lake fails with, as a person reads it: the cause, and the way on that fits it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from events import ARCHIVER
from foundation import aws
from foundation.settings import variable
from takeaway.errors import UserError
from takeaway.stack import deployment

# What the storage says, and not the log that lies there.
_STORAGE = re.compile(r"<Code>|[Oo]bject ?[Ss]tore|Generic S3|sending request|\bHTTP\b")
_NEWER = re.compile(r"Unsupported|not supported|newer")
# DuckDB's words about what Arrow could not read for it.
_WHILE_READING = "reading the stream registered as"
# What DuckDB says of its own files on this machine.
_NOT_WRITTEN = "Could not write file"


@contextmanager
def lake_told_in_one_line(environ: Mapping[str, str]) -> Iterator[None]:
    """Around reading the lake: what its storage layer says in many lines, and after many tries, a person reads in one.

    An `OSError` with a number is the system's, about a file of ours, unless it is one of the lake's.
    """
    from takeaway.stack.time_limit import answers

    url = environ.get("AWS_ENDPOINT_URL", "")
    if url and aws.is_local(url) and not answers(url):
        raise deployment.nothing_answers(url)
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = told_of_lake(error, environ)
        if told is None:
            raise
        raise told from error


def require_log(environ: Mapping[str, str]) -> None:
    """For what may make a lake: not on top of one whose log is gone."""
    if gone := _gone(environ):
        raise gone


def require_lake(environ: Mapping[str, str]) -> None:
    """For what changes a lake, and would make one where there is none."""
    from analytics.assembly import bucket_and_log

    require_log(environ)
    if not bucket_and_log(environ)[1].exists():
        raise UserError(
            f"there is no lake in bucket {_bucket(environ)!r} yet",
            f"`takeaway work {ARCHIVER}` makes and fills it; TAKEAWAY_LAKE_BUCKET names the bucket",
        )


def told_of_lake(error: Exception, environ: Mapping[str, str]) -> UserError | None:
    """The error in one line, and its fix, when it comes from reading the lake; None for any other."""
    import duckdb
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    from analytics.lake import NoLake
    from takeaway.stack.time_limit import reason

    bucket, text = _bucket(environ), str(error)
    if isinstance(error, NoLake):
        return _gone(environ)
    of_a_file = isinstance(error, OSError | pa.ArrowInvalid) and ("event_date=" in text or "Parquet" in text)
    if of_a_file or (isinstance(error, duckdb.Error) and _WHILE_READING in text):
        return UserError(
            f"cannot read a file of the lake in bucket {bucket!r}: {reason(error)}",
            "`takeaway lake verify` names each that is missing or torn; bring them back from versions of the bucket",
        )
    if isinstance(error, duckdb.IOException) and _NOT_WRITTEN in text:
        return UserError(
            f"what does not fit into memory cannot be written: {reason(error)}",
            "make room there, or name another folder in TMPDIR",
        )
    if isinstance(error, DeltaError) and not _STORAGE.search(text):
        return UserError(
            f"cannot read the log of the lake in bucket {bucket!r}: {reason(error)}",
            "run the release that writes this lake: a newer writer's log needs that writer's reader"
            if _NEWER.search(text)
            else f"bring {_log(bucket)} back from versions of the bucket; `takeaway lake verify` tells more",
        )
    if isinstance(error, DeltaError) or (isinstance(error, OSError) and error.errno is None):
        return UserError(
            f"cannot read the lake in bucket {bucket!r}: {reason(error)}",
            f"`takeaway deploy` makes the bucket, `takeaway work {ARCHIVER}` fills it; TAKEAWAY_LAKE_BUCKET names it",
        )
    return None


def _gone(environ: Mapping[str, str]) -> UserError | None:
    """Where there are files of a lake and no log of it."""
    from analytics.assembly import bucket_and_log
    from analytics.table import DATA_PREFIX, OFFSETS_PREFIX

    bucket, log = bucket_and_log(environ)
    left = next((key for prefix in (OFFSETS_PREFIX, DATA_PREFIX) for key in bucket.keys(prefix)), None)
    if left is None or log.exists():
        return None
    return UserError(
        f"the log of the lake in bucket {bucket.name!r} is gone, and what it told of is there, as {left}",
        f"stop the archivers, and bring {_log(bucket.name)} back from versions of the bucket",
    )


def _bucket(environ: Mapping[str, str]) -> str:
    return environ.get(variable("lake_bucket"), "")


def _log(bucket: str) -> str:
    from analytics.table import LOG_PREFIX

    return f"s3://{bucket}/{LOG_PREFIX}"
