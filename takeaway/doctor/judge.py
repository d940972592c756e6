"""What is wrong with a checkup, and what to do about it. Pure: facts in, problems out."""

from collections.abc import Iterator

from consumers import specs
from foundation.kinesis import READ_BYTES_PER_SECOND, READS_PER_SECOND
from foundation.settings import variable
from takeaway.doctor.facts import (
    BackEnd,
    Checkup,
    Consumer,
    DeadLetters,
    LakeState,
    Problem,
    Process,
    Resource,
    Section,
)
from takeaway.terminal import counted

# Signatures are refused from five minutes on; long before that, times written by two machines contradict each other.
CLOCK_TOLERANCE_SECONDS = 30.0
_READS_VARIABLES = dict.fromkeys(variable(spec.reads_field) for spec in specs.CONSUMERS.values())
# So near a limit a peak is over it.
NEARLY = 0.8

_STACK_STANDS = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")


def findings(checkup: Checkup) -> tuple[Problem, ...]:
    """Everything that is wrong, section by section; a cause is told once, and not again for each of its effects."""
    processes = tuple(problem for one in checkup.processes for problem in _process(one))
    if checkup.back_end is None:
        return (*checkup.unsettled, *processes)
    if checkup.back_end.trouble is not None:
        return (*processes, *_back_end(checkup.back_end))
    ended = {one.name for one in checkup.processes if not one.up}
    return (
        *checkup.unsettled,
        *processes,
        *_back_end(checkup.back_end),
        *_resources(checkup.resources, local=checkup.back_end.local),
        *(problem for one in checkup.consumers if one.name not in ended for problem in _consumer(one)),
        *_capacity(checkup),
        *(problem for letters in checkup.dead_letters for problem in _dead_letters(letters)),
        *_lake(checkup.lake),
    )


def _process(process: Process) -> Iterator[Problem]:
    if not process.up:
        yield Problem(
            Section.PROCESSES,
            f"{process.name} has ended; its log: {process.log}",
            "`takeaway up`: it starts what is missing",
        )
    if process.trouble is not None:
        what = f"{process.name} is up and does not serve: {process.trouble}"
        yield Problem(Section.PROCESSES, what, f"read {process.log}; `takeaway down` and `takeaway up` start it anew")


def _back_end(back_end: BackEnd) -> Iterator[Problem]:
    if back_end.trouble is not None:
        fix = (
            "start what should answer there; or unset AWS_ENDPOINT_URL, and `takeaway up` starts a local AWS"
            if back_end.local
            else "check the network, the region and the credentials: `aws sts get-caller-identity`"
        )
        yield Problem(Section.BACK_END, f"{back_end.endpoint} does not answer: {back_end.trouble}", fix)
    ahead = back_end.clock_ahead_seconds
    if ahead is not None and abs(ahead) > CLOCK_TOLERANCE_SECONDS:
        direction = "ahead of" if ahead > 0 else "behind"
        what = f"this machine's clock is {abs(ahead):.0f} s {direction} the back end's"
        yield Problem(Section.BACK_END, what, "set this machine's clock by NTP: `timedatectl set-ntp true` on Linux")


def _resources(resources: tuple[Resource, ...], *, local: bool) -> Iterator[Problem]:
    for one in resources:
        if one.kind == "stack" and one.there and one.status not in _STACK_STANDS:
            yield Problem(
                Section.RESOURCES, f"the stack {one.name} is in {one.status}", "`takeaway deploy`: it says what failed"
            )
        if one.kind == "stream" and one.there and one.status not in {"ACTIVE", "UPDATING"}:
            yield Problem(
                Section.RESOURCES, f"the stream {one.name} is in {one.status}", "wait; if it is DELETING, deploy again"
            )
    unknown = [one for one in resources if one.there is None]
    if unknown:
        names = ", ".join(f"{one.kind} {one.name} ({one.detail})" for one in unknown)
        yield Problem(
            Section.RESOURCES, f"could not be examined: {names}", "allow this identity to describe them, or look again"
        )
    missing = [one for one in resources if one.there is False and one.kind != "sender"]
    if missing:
        stands = any(one.kind == "stack" and one.status in _STACK_STANDS for one in resources)
        names = ", ".join(f"{one.kind} {one.name}" for one in missing)
        yield Problem(Section.RESOURCES, f"the stack is half deployed, missing: {names}", _deploy_again(stands=stands))
    for one in resources:
        if one.kind == "sender" and one.there is False:
            fix = (
                "`takeaway deploy`" if local else "verify the address in SES, or name a verified one in TAKEAWAY_SENDER"
            )
            yield Problem(Section.RESOURCES, f"the sender {one.name} is not verified: no mail leaves", fix)


def _deploy_again(*, stands: bool) -> str:
    """CloudFormation compares templates, not the world: what was deleted by hand it takes for being there."""
    if stands:
        return (
            "CloudFormation takes them for being there, so deploying it again changes nothing: deploy another stack, "
            "`TAKEAWAY_STACK=<name> takeaway deploy`; with a local AWS of `takeaway up`, `takeaway down` and `up` again"
        )
    return "`takeaway deploy`"


def _consumer(consumer: Consumer) -> Iterator[Problem]:
    start = f"start it: `takeaway work {consumer.name}`"
    if consumer.trouble is not None:
        what = f"{consumer.name}: its leases in {consumer.lease_table} could not be read: {consumer.trouble}"
        yield Problem(
            Section.CONSUMERS, what, "allow this identity to scan the table and to read the stream, or look again"
        )
    still = [shard.shard_id for shard in consumer.shards if shard.stands_still]
    if not still:
        return
    shards = ", ".join(still)
    if consumer.ran:
        what = f"{consumer.name} stands still: nobody renews its leases, and records are unread on {shards}"
    else:
        what = f"{consumer.name} never ran, and records wait for it on {shards}"
    yield Problem(Section.CONSUMERS, what, start)


def _capacity(checkup: Checkup) -> Iterator[Problem]:
    reading = [consumer for consumer in checkup.consumers if consumer.reads]
    reads = sum(consumer.reads_per_second for consumer in reading)
    if reads > READS_PER_SECOND:
        names = ", ".join(f"{consumer.name} {consumer.reads_per_second:g}" for consumer in reading)
        yield Problem(
            Section.CAPACITY,
            f"together the consumers read a shard {reads:g} times a second, and it allows {READS_PER_SECOND}: {names}",
            f"lower {' or '.join(_READS_VARIABLES)}, and start the consumers again",
        )
    pollers = max(len(reading), 1)
    for rate in checkup.rates:
        needed = (rate.bytes_per_second or 0) * pollers
        if needed > NEARLY * READ_BYTES_PER_SECOND:
            yield Problem(
                Section.CAPACITY,
                f"{rate.shard_id} takes in {megabytes(rate.bytes_per_second or 0)} a second, which "
                f"{counted(pollers, 'consumer')} read: {megabytes(needed)} of the {megabytes(READ_BYTES_PER_SECOND)} "
                "that a shard gives a second",
                "more shards: `takeaway deploy --shards <number>`; or fewer consumers",
            )
    unknown = [f"{rate.shard_id} ({rate.trouble})" for rate in checkup.rates if rate.trouble is not None]
    if unknown:
        yield Problem(
            Section.CAPACITY, f"the in-rate could not be measured: {', '.join(unknown)}", "look again in a moment"
        )


def _dead_letters(letters: DeadLetters) -> Iterator[Problem]:
    if letters.trouble is not None:
        what = f"the dead letters of {letters.consumer} could not be read: {letters.trouble}"
        yield Problem(
            Section.DEAD_LETTERS, what, f"allow this identity to list and read {letters.where}, or look again"
        )
    if letters.count:
        what = f"{letters.consumer} could not process {'more than ' * letters.more}{counted(letters.count, 'record')}"
        yield Problem(
            Section.DEAD_LETTERS,
            what,
            f"`takeaway dlq ls --consumer {letters.consumer}` says why; when the cause is gone, "
            f"`takeaway dlq redrive --consumer {letters.consumer}`; what nobody needs, `takeaway dlq drop`. "
            f"They are kept whole in {letters.where}",
        )


def _lake(lake: LakeState | None) -> Iterator[Problem]:
    if lake is not None and lake.trouble is not None:
        what = f"the lake at {lake.where} could not be read: {lake.trouble}"
        yield Problem(
            Section.LAKE, what, "TAKEAWAY_LAKE_BUCKET names its bucket; allow this identity to read it, or look again"
        )


def megabytes(count: float) -> str:
    return f"{count / 1024 / 1024:.2f} MB"
