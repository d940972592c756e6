"""The rules by which a shard's records are handled in batches: those of Lambda's Kinesis event source, for any engine.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
"""

from dataclasses import dataclass
from datetime import timedelta

from foundation.settings import SettingsError

MAX_BATCH_SIZE = 10_000
LONGEST_WINDOW = timedelta(minutes=5)
MAX_PARALLELIZATION = 64


@dataclass(frozen=True)
class BatchRules:
    """How many records are handled together, how many keys at once, and what becomes of those that fail.

    A batch is handled when `batch_size` records wait for it, or when its first one has waited for `batching_window`; no
    window handles whatever was read. `parallelization_factor` is how many partition keys of a shard are handled at
    once; the records of one key always one after the other. After `max_attempts` with errors of the handler's own,
    the records it was called with are halved until only the broken one is left (`bisect_batch_on_error`) and set apart,
    or all are set apart together. While no other record works either, it is the code that is broken and not the record:
    then none is, unless `compares` is off. A record older than `max_record_age` is set apart without being tried.

    A service's refusal that no handler knows is tried again with growing pauses; after `suspected_after` times that it
    came back although the step had worked for others since, the record is set apart as suspected.
    """

    batch_size: int = 500
    batching_window: timedelta = timedelta(0)
    parallelization_factor: int = 8
    max_attempts: int = 5
    max_record_age: timedelta | None = None
    bisect_batch_on_error: bool = True
    compares: bool = True
    suspected_after: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= MAX_BATCH_SIZE:
            raise SettingsError(f"batch_size is {self.batch_size}. fix: use 1 to {MAX_BATCH_SIZE} records")
        if not timedelta(0) <= self.batching_window <= LONGEST_WINDOW:
            raise SettingsError(f"batching_window is {self.batching_window}. fix: use none, up to {LONGEST_WINDOW}")
        if not 1 <= self.parallelization_factor <= MAX_PARALLELIZATION:
            raise SettingsError(
                f"parallelization_factor is {self.parallelization_factor}. fix: use 1 to {MAX_PARALLELIZATION} keys"
            )
        if self.max_attempts < 1:
            raise SettingsError(f"max_attempts is {self.max_attempts}. fix: use at least 1, the first attempt")
        if self.max_record_age is not None and self.max_record_age <= timedelta(0):
            raise SettingsError(f"max_record_age is {self.max_record_age}. fix: leave it out, and no record is too old")
