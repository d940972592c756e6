"""What is wrong with a checkup, and what to do about it. Pure: facts in, problems out."""

from collections.abc import Iterator, Sequence

from consumers import specs
from foundation.kinesis import READ_BYTES_PER_SECOND, READS_PER_SECOND
from foundation.settings import variable
from takeaway.doctor.consumers import consumer_problems, consumer_warnings
from takeaway.doctor.facts import (
    BackEnd,
    Checkup,
    Consumer,
    DeadLetters,
    Disk,
    LakeState,
    Problem,
    Process,
    Resource,
    Section,
    ShardRate,
    UnknownVariable,
)
from takeaway.doctor.orders import order_problems, order_warnings
from takeaway.stack import ENVIRONMENT
from takeaway.terminal import counted

# Signatures are refused from five minutes on; long before that, times written by two machines contradict each other.
CLOCK_TOLERANCE_SECONDS = 30.0
_READS_VARIABLES = dict.fromkeys(variable(spec.reads_field) for spec in specs.readers().values())
# So near a limit a peak is over it.
NEARLY = 0.8
_LITTLE_ROOM_BYTES = 256 * 1024 * 1024
_MAKE_ROOM = "make room on that disk; what could not be written meanwhile is missing in the logs"
_TOKEN_KEY = variable("token_key")

_STACK_STANDS = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")


def findings(checkup: Checkup) -> tuple[Problem, ...]:
    """Everything that is wrong, section by section; a cause is told once, and not again for each of its effects."""
    here = (
        *checkup.unsettled,
        *map(_unknown_variable, checkup.unknown_variables),
        *(problem for disk in checkup.disks for problem in _disk(disk)),
        *(problem for one in checkup.processes for problem in _process(one)),
    )
    if checkup.back_end is None:
        return here
    if checkup.back_end.trouble is not None:
        return (*here, *_back_end(checkup.back_end))
    return (
        *here,
        *_back_end(checkup.back_end),
        *_resources(checkup.resources, local=checkup.back_end.local),
        *consumer_problems(checkup),
        *order_problems(checkup),
        *_capacity(checkup),
        *(problem for letters in checkup.dead_letters for problem in _dead_letters(letters)),
        *_lake(checkup.lake),
    )


def warnings(checkup: Checkup) -> tuple[Problem, ...]:
    """What is no problem yet, or could not be seen to be none."""
    full = (
        Problem(Section.MACHINE, f"{disk.folder} has only {size_in_words(disk.free_bytes)} left", _MAKE_ROOM)
        for disk in checkup.disks
        if disk.trouble is None and disk.free_bytes < _LITTLE_ROOM_BYTES
    )
    return (*full, *consumer_warnings(checkup), *order_warnings(checkup), *_undeclared(checkup.lake))


def _undeclared(lake: LakeState | None) -> Iterator[Problem]:
    for name, rows in lake.undeclared if lake else ():
        yield Problem(
            Section.LAKE,
            f"{name} is declared by no participant of this release: {counted(rows, 'row')} in the lake's newest files",
            "deploy the release that knows it, or declare it in `events`; until then its rows have its envelope, and "
            "the rest sealed in `_extra`",
        )


def _unknown_variable(unknown: UnknownVariable) -> Problem:
    where = f"in the {unknown.where}" if unknown.where == ENVIRONMENT else f"for {unknown.where}"
    meant = f"did you mean {unknown.meant}? Rename it" if unknown.meant else "unset it; `takeaway doctor --all` has all"
    return Problem(Section.SETTINGS, f"{unknown.name} is set {where}, and no setting is called so", meant)


def _disk(disk: Disk) -> Iterator[Problem]:
    if disk.trouble is not None:
        yield Problem(Section.MACHINE, f"{disk.folder} cannot be written: {disk.trouble}", _MAKE_ROOM)


def _process(process: Process) -> Iterator[Problem]:
    again = "`takeaway down` and `takeaway up` start it anew"
    if not process.up:
        words = f": {process.last_words}" if process.last_words else ""
        what = f"{process.name} has ended{words}; its log: {process.log}"
        yield Problem(Section.PROCESSES, what, "`takeaway up`: it starts what is missing")
    elif process.frozen:
        what = f"{process.name} is frozen: a signal has stopped its process {process.pid}, which does nothing"
        yield Problem(Section.PROCESSES, what, f"`kill -CONT {process.pid}` lets it go on; or {again}")
    elif process.trouble is not None:
        what = f"{process.name} is up and does not serve: {process.trouble}"
        yield Problem(Section.PROCESSES, what, f"read {process.log}; {again}")
    elif process.refuses_key:
        what = f"the {process.name} refuses tokens that are signed with {_TOKEN_KEY}: it was started with another key"
        fix = f"unset {_TOKEN_KEY}, and the key of `takeaway up` is used; or {again}"
        yield Problem(Section.SETTINGS, what, fix)


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


def _capacity(checkup: Checkup) -> Iterator[Problem]:
    polling = [consumer for consumer in checkup.consumers if consumer.polls]
    reads = sum(consumer.reads_per_second or 0 for consumer in polling)
    if reads > READS_PER_SECOND:
        names = ", ".join(f"{consumer.name} {consumer.reads_per_second:g}" for consumer in polling)
        yield Problem(
            Section.CAPACITY,
            f"together the consumers read a shard {reads:g} times a second, and it allows {READS_PER_SECOND}: {names}",
            f"lower {' or '.join(_READS_VARIABLES)}, and start the consumers again",
        )
    for rate in checkup.rates:
        yield from _shard_capacity(rate, polling)
    unknown = [f"{rate.shard_id} ({rate.trouble})" for rate in checkup.rates if rate.trouble is not None]
    if unknown:
        yield Problem(
            Section.CAPACITY, f"the in-rate could not be measured: {', '.join(unknown)}", "look again in a moment"
        )


def _shard_capacity(rate: ShardRate, polling: Sequence[Consumer]) -> Iterator[Problem]:
    """More than all who poll may read together, or than one of them may."""
    comes, pollers = rate.bytes_per_second or 0, max(len(polling), 1)
    fix = "more shards: `takeaway deploy --shards <number>`; or fewer consumers that poll: TAKEAWAY_RETRIEVAL=fan_out"
    if comes * pollers > NEARLY * READ_BYTES_PER_SECOND:
        yield Problem(
            Section.CAPACITY,
            f"{rate.shard_id} takes in {size_in_words(comes)} a second, which {counted(pollers, 'consumer')} read: "
            f"{size_in_words(comes * pollers)} of the {size_in_words(READ_BYTES_PER_SECOND)} that a shard gives",
            fix,
        )
        return
    slow = [one for one in polling if one.bytes_per_second is not None and comes > NEARLY * one.bytes_per_second]
    if slow:
        names = ", ".join(f"{one.name} {size_in_words(one.bytes_per_second or 0)}" for one in slow)
        what = f"{rate.shard_id} takes in {size_in_words(comes)} a second, and these may read hardly more: {names}"
        yield Problem(Section.CAPACITY, what, f"raise TAKEAWAY_READ_BYTES_PER_SECOND; or {fix}")


def _dead_letters(letters: DeadLetters) -> Iterator[Problem]:
    if letters.trouble is not None:
        what = f"the dead letters of {letters.consumer} could not be read: {letters.trouble}"
        yield Problem(
            Section.DEAD_LETTERS, what, f"allow this identity to list and read {letters.where}, or look again"
        )
    if letters.count:
        kinds = ", ".join(f"{count} {kind}" for kind, count in letters.kinds)
        among = "" if letters.looked_at == letters.count else f"of {letters.of_which}, "
        what = f"{letters.consumer} could not process {'more than ' * letters.more}{counted(letters.count, 'record')}"
        what += f": {among}{kinds}" if kinds else ""
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


def size_in_words(count: float) -> str:
    """`1.75 MB`, `74.9 GB`, of so many bytes."""
    mebibytes = count / 1024 / 1024
    return f"{mebibytes:.2f} MB" if mebibytes < 1024 else f"{mebibytes / 1024:,.1f} GB"
