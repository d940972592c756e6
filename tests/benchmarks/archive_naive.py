"""The same work as one writes it first: each event judged and read by json, a frame, `to_parquet`; prints CPU seconds.

GetRecords' answer is read by boto3's own parser, as a boto3 client does, or by `json` and `base64` alone.
"""

import base64
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pandas as pd
from botocore.parsers import create_parser

from analytics.assembly import customer_keys
from analytics.table.schema import EVENT_SCHEMA, STREAM_COLUMNS
from events.wire import decode as judge
from foundation import aws

_SAID = [name for name in EVENT_SCHEMA.names if name not in {field.name for field in STREAM_COLUMNS}]
_PLAIN = ("customer_name", "customer_email")


def by_boto3() -> Callable[[bytes], list[dict[str, Any]]]:
    """What a client does with the body of an answer."""
    model = botocore.session.get_session().get_service_model("kinesis")
    shape: Any = model.operation_model("GetRecords").output_shape
    parser = create_parser("json")

    def records(body: bytes) -> list[dict[str, Any]]:
        parsed: dict[str, Any] = parser.parse({"body": body, "headers": {}, "status_code": 200}, shape)
        return [
            {**record, "ApproximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp()}
            for record in parsed["Records"]
        ]

    return records


def by_json(body: bytes) -> list[dict[str, Any]]:
    return [{**record, "Data": base64.b64decode(record["Data"])} for record in json.loads(body)["Records"]]


def archived(read: Callable[[bytes], list[dict[str, Any]]], stream: str, files: Sequence[Path]) -> dict[str, Any]:
    bodies = [file.read_bytes() for file in files]
    keys = customer_keys(os.environ)
    s3, bucket = aws.client("s3", dict(os.environ)), os.environ["TAKEAWAY_LAKE_BUCKET"]
    began = time.process_time()
    seen: set[str] = set()
    rows: list[dict[str, Any]] = []
    for body in bodies:
        for record in read(body):
            judge(record["Data"])
            event = json.loads(record["Data"])
            if event["event_id"] in seen:
                continue
            seen.add(event["event_id"])
            row = {name: event.get(name) for name in _SAID}
            row["occurred_at"] = datetime.fromisoformat(event["occurred_at"])
            row["ready_at"] = datetime.fromisoformat(event["ready_at"]) if "ready_at" in event else None
            for name in _PLAIN:
                row[f"{name}_token"] = keys.token(event["customer_id"], event[name]) if name in event else None
            unknown = {name: value for name, value in event.items() if name not in row and name not in _PLAIN}
            row["_extra"] = json.dumps(unknown) if unknown else None
            row["_shard"] = "shardId-000000000000"
            row["_sequence_number"] = record["SequenceNumber"]
            row["_sub_sequence_number"] = 0
            row["_arrived_at"] = datetime.fromtimestamp(record["ApproximateArrivalTimestamp"], UTC)
            rows.append(row)
    keys.save()
    frame = pd.DataFrame(rows)
    size = 0
    for day, part in frame.groupby(frame["occurred_at"].dt.date):
        file = io.BytesIO()
        part.to_parquet(file, compression="zstd")
        size += len(file.getvalue())
        s3.put_object(Bucket=bucket, Key=f"naive/{stream}/{day}.parquet", Body=file.getvalue())
    return {"cpu": time.process_time() - began, "rows": len(rows), "bytes": size}


def main(reader: str, stream: str, folder: str) -> None:
    read = by_boto3() if reader == "boto3" else by_json
    files = sorted(Path(folder).glob("*.json"))
    archived(read, f"{stream}-before", files[:4])  # as ours, a run before the one that counts
    print(json.dumps(archived(read, stream, files)))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
