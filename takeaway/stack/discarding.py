"""What goes with a local AWS that is stopped: its lake is nowhere else."""

from collections.abc import Mapping

from takeaway.local import LOCAL_AWS, saved_environ, without_secrets
from takeaway.stack import deployment
from takeaway.stack.flow import Stack
from takeaway.stack.time_limit import Asked, Unanswered, answers

_SECONDS = 10.0


def lake_at_stake(stack: Stack) -> str:
    """The lake of this stack's own AWS, in words; empty when there are no rows in it, or no AWS is up."""
    if not stack.runs(LOCAL_AWS):
        return ""
    reached = saved_environ(stack.home)
    endpoint = reached["AWS_ENDPOINT_URL"]
    if not answers(endpoint):
        # Its process is there, and no lake.
        return ""
    rows = Asked(lambda: _rows(reached), _SECONDS).answer()
    if isinstance(rows, Unanswered):
        return f"a lake at {endpoint} whose rows cannot be counted ({rows.reason})"
    return f"a lake of {rows:,} rows at {endpoint}" if rows else ""


def _rows(reached: Mapping[str, str]) -> int:
    """As the log says; no file is opened."""
    from analytics.assembly import bucket_and_log
    from takeaway.errors import UserError

    environ = {**without_secrets(), **reached}
    try:
        environ |= deployment.settings(environ)
    except UserError:
        # Nothing is deployed there.
        return 0
    _, log = bucket_and_log(environ)
    return sum(file.rows for file in log.snapshot().all_files()) if log.exists() else 0
