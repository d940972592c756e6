from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aws_kinesis_agg import messages_pb2 as messages_pb2

def deaggregate_records(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]: ...
def iter_deaggregate_records(
    records: Sequence[Mapping[str, Any]] | Mapping[str, Any], data_format: str | None = None
) -> Iterator[dict[str, Any]]: ...
