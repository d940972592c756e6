"""Builds the lake's writing side from the environment."""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from botocore.config import Config

from analytics.settings import CustomerKeySettings, LakeSettings
from foundation import aws
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK, Clock
from foundation.diagnostics import Emit
from foundation.settings import from_environment

if TYPE_CHECKING:
    from analytics.archiving import LakeSink
    from analytics.maintenance import Backfill, Compactor, Keeper, LateRows, Vacuum
    from analytics.privacy import CustomerKeys
    from analytics.table import CommitLog

# A write that is sent twice may be refused by itself; the protocol takes no refusal for a proof.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 4})


def customer_keys(environ: Mapping[str, str]) -> "CustomerKeys":
    """The keys of this process: it makes tokens with no others."""
    from analytics.privacy import CustomerKeys, KeyObjects

    settings = from_environment(CustomerKeySettings, environ)
    return CustomerKeys(KeyObjects(Bucket(aws.client("s3", environ, _CONFIG), settings.customer_key_bucket)))


def lake_sink(
    environ: Mapping[str, str], stream: str, emit: Emit, keys: "CustomerKeys", clock: Clock = SYSTEM_CLOCK
) -> "LakeSink":
    """The process' one committer for this stream. `environ` names the bucket, and the endpoint where there is one."""
    from analytics.archiving import LakeSink

    settings = from_environment(LakeSettings, environ)
    return LakeSink(
        stream,
        _bucket(settings, environ),
        _log(settings, environ, clock),
        settings.rotation,
        clock,
        emit,
        keys=keys,
        first=settings.rotation.sooner(random.Random()),
        accepted_gaps=settings.accepted_gaps,
    )


def late_rows(environ: Mapping[str, str], emit: Emit, keys: "CustomerKeys", clock: Clock = SYSTEM_CLOCK) -> "LateRows":
    """The way into the lake for records that had been set apart."""
    from analytics.maintenance import LateRows

    settings = from_environment(LakeSettings, environ)
    return LateRows(_bucket(settings, environ), _log(settings, environ, clock), clock, emit, keys)


def compactor(environ: Mapping[str, str], emit: Emit, clock: Clock = SYSTEM_CLOCK) -> "Compactor":
    from analytics.maintenance import CompactionPolicy, Compactor

    settings = from_environment(LakeSettings, environ)
    return Compactor(_bucket(settings, environ), _log(settings, environ, clock), CompactionPolicy(), clock, emit)


def vacuum(environ: Mapping[str, str]) -> "Vacuum":
    from analytics.maintenance import Vacuum

    settings = from_environment(LakeSettings, environ)
    return Vacuum(_bucket(settings, environ), _log(settings, environ, SYSTEM_CLOCK))


def keeper(
    environ: Mapping[str, str],
    emit: Emit,
    *,
    retention: timedelta | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> "Keeper":
    """What compacts, cleans and removes by itself; `retention` as of `vacuum`."""
    from analytics.maintenance import RETENTION, Keeper, LogCare

    bucket, log = bucket_and_log(environ)
    return Keeper(
        log,
        compactor(environ, emit),
        vacuum(environ),
        LogCare(bucket),
        emit,
        retention=RETENTION if retention is None else retention,
        stopping=stopping,
    )


def backfill(environ: Mapping[str, str], emit: Emit, keys: "CustomerKeys", clock: Clock = SYSTEM_CLOCK) -> "Backfill":
    from analytics.maintenance import Backfill

    settings = from_environment(LakeSettings, environ)
    return Backfill(_bucket(settings, environ), _log(settings, environ, clock), clock, emit, keys)


def bucket_and_log(environ: Mapping[str, str]) -> "tuple[Bucket, CommitLog]":
    """For whoever looks at both, and changes neither."""
    settings = from_environment(LakeSettings, environ)
    return _bucket(settings, environ), _log(settings, environ, SYSTEM_CLOCK)


def lake_names(environ: Mapping[str, str], stream: str) -> Callable[[str], str]:
    """How the lake names the shards of the stream that is there now. Where that cannot be asked, as the stream does."""
    from botocore.exceptions import BotoCoreError, ClientError

    from analytics.table import ShardPaths, paths_of
    from foundation.kinesis import creation_of

    bucket = _bucket(from_environment(LakeSettings, environ), environ)
    try:
        creation = creation_of(aws.client("kinesis", environ, _CONFIG), stream)
    except (ClientError, BotoCoreError):
        creation = None
    return cache(lambda shard_id: paths_of(bucket, ShardPaths(stream, shard_id), creation).shard_id)


def _bucket(settings: LakeSettings, environ: Mapping[str, str]) -> Bucket:
    return Bucket(aws.client("s3", environ, _CONFIG), settings.lake_bucket)


def _log(settings: LakeSettings, environ: Mapping[str, str], clock: Clock) -> "CommitLog":
    from analytics.table import DeltaLog, put_up_notice, table_uri

    return DeltaLog(
        table_uri(settings.lake_bucket),
        aws.storage_options(environ),
        clock,
        before_creation=lambda: put_up_notice(_bucket(settings, environ)),
    )
