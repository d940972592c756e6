"""Looks at the back end, the parts of the stack, the dead letters and the lake. Reads only."""

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from consumers.dead_letters import NoLetter, kind_of
from events import KNOWN_EVENTS
from foundation import aws
from foundation.bucket import Bucket
from foundation.clock import Clock
from foundation.error_codes import error_code
from foundation.settings import variable
from takeaway.doctor.facts import BackEnd, DeadLetters, LakeState, Resource
from takeaway.doctor.machine import HEALTH_SECONDS, local_date
from takeaway.doctor.settings import shown_url
from takeaway.stack import DEFAULT_STACK, Asked, Unanswered
from takeaway.terminal import counted

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from mypy_boto3_s3 import S3Client

# On AWS the first question also looks for credentials, and each place that may have them takes its time.
IDENTITY_SECONDS = 5.0
# More letters are neither counted nor, of those counted, read: the newest tell what goes wrong now.
_LETTERS_COUNTED = 10_000
_LETTERS_READ = 40
# They tell which events come in now.
_NEWEST_FILES = 20
# A Date header is cut to whole seconds: on average, half of one is missing.
_CUT_OFF = timedelta(seconds=0.5)
_MISSING = frozenset(
    {"ResourceNotFoundException", "NotFound", "AWS.SimpleQueueService.NonExistentQueue", "404", "NoSuchBucket"}
)


def back_end(environ: Mapping[str, str], clock: Clock) -> BackEnd:
    """Whether it answers, how fast, and what time it thinks it is. Raises when there are no credentials to ask with."""
    url = environ.get("AWS_ENDPOINT_URL", "")
    local = bool(url) and aws.is_local(url)
    started, before = clock.monotonic(), clock.now()
    if local:
        name = shown_url(url)
        answer = Asked(lambda: local_date(url, "/_localstack/health"), HEALTH_SECONDS, clock).answer()
    else:
        sts = aws.client("sts", environ)
        name = shown_url(url) if url else f"AWS {sts.meta.region_name}"
        answer = Asked(lambda: _date(sts.get_caller_identity()), IDENTITY_SECONDS, clock).answer()
    seconds = clock.monotonic() - started
    if isinstance(answer, Unanswered):
        return BackEnd(name, local, seconds, trouble=answer.reason)
    ours = before + timedelta(seconds=seconds / 2)
    ahead = (ours - (answer + _CUT_OFF)).total_seconds() if answer else None
    return BackEnd(name, local, seconds, clock_ahead_seconds=ahead)


def resources(environ: Mapping[str, str], clients: Callable[[str], Any], seconds: float) -> dict[str, Resource]:
    """Each part of the stack that `environ` names, by its settings field. `clients` makes one for a service's name."""
    kinesis, dynamodb, sns, sqs, s3, ses = map(clients, ("kinesis", "dynamodb", "sns", "sqs", "s3", "ses"))

    def stream(name: str) -> Resource:
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        shards, hours = summary["OpenShardCount"], summary["RetentionPeriodHours"]
        status = summary["StreamStatus"]
        detail = f"{status}, {counted(shards, 'open shard')}, keeps {hours} h"
        return Resource("stream", name, there=True, detail=detail, status=status)

    def table(name: str) -> Resource:
        status = dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
        return Resource("table", name, there=True, detail=status, status=status)

    def topic(name: str) -> Resource:
        subscriptions = sns.get_topic_attributes(TopicArn=name)["Attributes"].get("SubscriptionsConfirmed", "0")
        return Resource("topic", name, there=True, detail=f"{subscriptions} subscribed")

    def queue(name: str) -> Resource:
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = sqs.get_queue_attributes(QueueUrl=name, AttributeNames=wanted)["Attributes"]
        waiting, taken = (int(counts[attribute]) for attribute in wanted)
        return Resource("queue", name, there=True, detail=f"about {counted(waiting + taken, 'message')}")

    def bucket(name: str) -> Resource:
        s3.head_bucket(Bucket=name)
        return Resource("bucket", name, there=True)

    def sender(address: str) -> Resource:
        found = ses.get_identity_verification_attributes(Identities=[address])["VerificationAttributes"]
        status = found.get(address, {}).get("VerificationStatus", "unknown to SES")
        return Resource("sender", address, there=status == "Success", detail=status, status=status)

    # Each look is called what it looks at.
    looks = {
        "stream": stream,
        "orders_table": table,
        "outcomes_table": table,
        "tracker_table": table,
        "ticket_topic": topic,
        "ticket_queue": queue,
        "audit_queue": queue,
        "lake_bucket": bucket,
        "dead_letter_bucket": bucket,
        "customer_key_bucket": bucket,
        "sender": sender,
    }
    named = {field: environ[variable(field)] for field in looks if environ.get(variable(field))}
    asked = {field: Asked(partial(_looked_at, looks[field], name), seconds) for field, name in named.items()}
    answers = {field: one.answer() for field, one in asked.items()}
    return {
        field: Resource(looks[field].__name__, named[field], there=None, detail=answer.reason)
        if isinstance(answer, Unanswered)
        else answer
        for field, answer in answers.items()
    }


def stack(environ: Mapping[str, str], clients: Callable[[str], Any], seconds: float) -> Resource:
    """The CloudFormation stack itself, which is known to be there."""
    name = environ.get(variable("stack"), DEFAULT_STACK)
    cloudformation = clients("cloudformation")
    answer = Asked(lambda: cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"], seconds).answer()
    if isinstance(answer, Unanswered):
        return Resource("stack", name, there=None, detail=answer.reason)
    return Resource("stack", name, there=True, detail=answer, status=answer)


def dead_letters(
    s3: "S3Client", bucket: str, consumer: str, seconds: float, clock: Clock, *, read: int = _LETTERS_READ
) -> DeadLetters:
    """How many there are, and of which kinds of error. A message may quote a record, so only its kind is kept.

    Of so many, the newest, that is `read`; with none, letters are listed alone.

    What is not counted after `seconds`, or not read, is left: that there are some is told however many there are.
    Those that were dropped wait for nothing, and are not counted.
    """
    until = clock.monotonic() + seconds
    # guarantee: a letter that was dropped is no problem any more
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{consumer}/")
    written: list[tuple[datetime, str]] = []
    more = False
    for page in pages:
        written += [(entry["LastModified"], entry["Key"]) for entry in page.get("Contents", [])]
        # guarantee: dead letters are told however many there are
        if len(written) > _LETTERS_COUNTED or clock.monotonic() > until:
            more = page.get("IsTruncated", False) or len(written) > _LETTERS_COUNTED
            break
    newest = heapq.nlargest(max(1, read), written)
    letters, kinds = Bucket(s3, bucket), Counter[str]()
    for _, key in newest[:read]:
        if kinds and clock.monotonic() > until:
            break
        kinds[_error_kind(letters, key)] += 1
    return DeadLetters(
        consumer,
        f"s3://{bucket}/{consumer}/",
        count=min(len(written), _LETTERS_COUNTED),
        more=more,
        looked_at=kinds.total(),
        kinds=tuple(kinds.most_common()),
        newest_at=newest[0][0] if newest else None,
    )


def lake(environ: Mapping[str, str], bucket: str) -> LakeState:
    """What its log says, and the newest files of which events there are that this release does not know."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    from analytics.table import table_uri

    where = table_uri(bucket)
    limits = {"connect_timeout": "2s", "timeout": "3s", "max_retries": "1"}
    try:
        table = DeltaTable(where, storage_options={**aws.storage_options(environ), **limits})
    except TableNotFoundError:
        return LakeState(where)
    files = pa.table(table.get_add_actions(flatten=True))
    newest = pc.max(files["modification_time"]).as_py()
    return LakeState(
        where,
        version=table.version(),
        rows=pc.sum(files["num_records"]).as_py() or 0,
        newest_file_at=datetime.fromtimestamp(newest / 1000, UTC) if newest else None,
        undeclared=_undeclared(table, files, environ),
    )


def _undeclared(table: "DeltaTable", files: "pa.Table", environ: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    from analytics.reading import LiveFiles, lake_filesystem

    if not {"event_type", "schema_version"} <= {field.name for field in table.schema().fields}:
        return ()
    by_age = files.sort_by([("modification_time", "descending")]).column("path").to_pylist()
    newest = set(by_age[:_NEWEST_FILES])
    live = LiveFiles(table, lake_filesystem(table.table_uri, aws.storage_options(environ)))
    rows = live.dataset([file for file in live.all if file.path in newest]).to_table(
        columns=["event_type", "schema_version"]
    )
    counts: Counter[str] = Counter()
    for group in rows.group_by(["event_type", "schema_version"]).aggregate([([], "count_all")]).to_pylist():
        name = f"{group['event_type']}.v{group['schema_version']}"
        if name not in KNOWN_EVENTS:
            counts[name] += group["count_all"]
    return tuple(sorted(counts.items()))


def _looked_at(look: Callable[[str], Resource], name: str) -> Resource:
    try:
        return look(name)
    except ClientError as error:
        if error_code(error) not in _MISSING:
            raise
        return Resource(look.__name__, name, there=False, detail="missing")


def _error_kind(letters: Bucket, key: str) -> str:
    try:
        return kind_of(letters, key) or "gone"
    except NoLetter:
        return "no letter of ours"


def _date(answer: Mapping[str, Any]) -> datetime | None:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date) if date else None
