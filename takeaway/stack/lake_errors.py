"""What reading the lake fails with, as a person reads it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from events import ARCHIVER
from foundation import aws
from foundation.settings import variable
from takeaway.errors import UserError
from takeaway.stack import deployment


@contextmanager
def lake_told_in_one_line(environ: Mapping[str, str]) -> Iterator[None]:
    """Around reading the lake: what its storage layer says in many lines, and after many tries, a person reads in one.

    An `OSError` with a number is the system's, about a file of ours.
    """
    from deltalake.exceptions import DeltaError

    from takeaway.stack.time_limit import answers, reason

    url = environ.get("AWS_ENDPOINT_URL", "")
    if url and aws.is_local(url) and not answers(url):
        raise deployment.nothing_answers(url)
    try:
        yield
    except (OSError, DeltaError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        bucket = environ.get(variable("lake_bucket"), "")
        raise UserError(
            f"cannot read the lake in bucket {bucket!r}: {reason(error)}",
            f"`takeaway deploy` makes the bucket, `takeaway work {ARCHIVER}` fills it; TAKEAWAY_LAKE_BUCKET names it",
        ) from error
