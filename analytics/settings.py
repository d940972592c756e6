"""Where the lake is, and when its files are due."""

from dataclasses import dataclass
from datetime import timedelta

from analytics.rotation import RotationPolicy

_DEFAULT = RotationPolicy()


@dataclass(frozen=True)
class CustomerKeySettings:
    """The bucket of the keys without which customers' names and addresses are only tokens."""

    customer_key_bucket: str


@dataclass(frozen=True)
class LakeSettings:
    """`lake_file_size` is bytes of rows in memory; `lake_file_age` is seconds, or an ISO 8601 duration.

    `lake_accept_gap` names gaps as `LakeGap` does, "<shard>:<the last place in the lake>", several with commas.
    """

    lake_bucket: str
    lake_file_size: int = _DEFAULT.size
    lake_file_rows: int = _DEFAULT.rows
    lake_file_age: timedelta = _DEFAULT.age
    lake_accept_gap: str = ""

    @property
    def rotation(self) -> RotationPolicy:
        return RotationPolicy(size=self.lake_file_size, rows=self.lake_file_rows, age=self.lake_file_age)

    @property
    def accepted_gaps(self) -> frozenset[str]:
        return frozenset(gap for named in self.lake_accept_gap.split(",") if (gap := named.strip()))
