"""What an engine is told behind an attempt that did not go well: in which words, and how to go on. Pure."""

from collections.abc import Sequence

from botocore.exceptions import ClientError

from consumers.batching.attempt import MOST_IN_A_ROW
from consumers.batching.rules import BatchRules
from consumers.batching.trial import Trial
from consumers.processing import Pace, Unavailable
from consumers.verdicts import Verdict, loggable, verdict_of

# A dependency that is away for everybody, as far as one can tell, holds the shard for so many failures, which is some
# minutes. Then what follows is read, slowly: it may be for this one record that it is away.
FAILURES_BEFORE_READING_ON = 10


class HandlerFailed(Exception):
    """A handler's own error, told without its words, since those may quote the record."""


def told(error: Exception, *, attempts: int, rules: BatchRules) -> Exception:
    """The error as a log may have it: with neither a handler's own words nor a service's."""
    if verdict_of(error) is Verdict.OURS:
        says: Exception = HandlerFailed(f"{loggable(error)}, attempt {attempts} of {rules.max_attempts}")
    elif isinstance(error, ClientError):
        says = Unavailable(loggable(error))
    else:
        return error
    says.__cause__ = error
    return says


def pace_of(failed: Sequence[Trial], *, worked: bool, failing_keys: int) -> Pace:
    """Behind an attempt in which these failed; `worked` if others did not. So many keys failed since one has worked."""
    # guarantee: what keeps failing holds up nothing but itself
    if worked:
        return Pace.FULL
    passing = [trial for trial in failed if trial.verdict is Verdict.DEPENDENCY and not trial.of_content]
    if any(trial.failures < FAILURES_BEFORE_READING_ON for trial in passing):
        return Pace.STILL
    return Pace.SLOW if passing or failing_keys >= MOST_IN_A_ROW else Pace.FULL


def is_standstill(failed: Sequence[Trial], rules: BatchRules, *, worked: bool, failing_keys: int, stands: bool) -> bool:
    """Whether our own code fails on every record, as far as it was tried; `stands` if it did so before."""
    if worked or any(trial.verdict is not Verdict.OURS or trial.others_worked for trial in failed):
        return False
    return stands or failing_keys >= MOST_IN_A_ROW or all(trial.ours >= rules.max_attempts for trial in failed)
