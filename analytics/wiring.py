"""Builds the lake's writing side from the environment."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from analytics.settings import LakeSettings
from foundation.clock import SYSTEM_CLOCK, Clock
from foundation.diagnostics import Emit
from foundation.settings import from_environment

if TYPE_CHECKING:
    from analytics.sink import LakeSink

# A write that is sent twice may be refused by itself; the protocol takes no refusal for a proof.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 4})


def lake_sink(environ: Mapping[str, str], stream: str, emit: Emit, clock: Clock = SYSTEM_CLOCK) -> "LakeSink":
    """The process' one committer for this stream. `environ` names the bucket, and the endpoint where there is one."""
    from analytics.bucket import Bucket
    from analytics.layout import table_uri
    from analytics.sink import LakeSink
    from analytics.table import DeltaLog, storage_options

    settings = from_environment(LakeSettings, environ)
    log = DeltaLog(table_uri(settings.lake_bucket), storage_options(environ), clock)
    bucket = Bucket(boto3.client("s3", config=_CONFIG), settings.lake_bucket)
    return LakeSink(stream, bucket, log, settings.rotation, clock, emit, accepted_gaps=settings.accepted_gaps)
