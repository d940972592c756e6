"""A timeline in words, 80 columns wide. Pure. Types, ids and times: no customer's data."""

import textwrap
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

from events import Upcoming
from foundation.kinesis import StreamPosition
from foundation.plain_text import one_line
from takeaway.errors import UserError
from takeaway.terminal import counted, roughly
from takeaway.trace.facts import Looked, OrderFacts, Remembered, SetApart
from takeaway.trace.timeline import Happening, Repeat, Timeline, Whereabouts

WIDTH = 80
# So many last digits of a place on the stream tell two places apart; --json has all of them.
_DIGITS = 8
_NAME = 20
_MORE = "--seconds gives more"
_NO_BREAK = "\N{NO-BREAK SPACE}"
_MEANS = {
    Whereabouts.ON_ITS_WAY: "stream: on the stream, and not in the lake yet",
    Whereabouts.SET_APART: "set apart: the archiver could not read it; a dead letter",
    Whereabouts.MISSING: "missing: the lake is past it and has no row of it: `takeaway lake verify`",
    Whereabouts.STORED: "stored: by a command, and Kinesis is not known to have it",
    Whereabouts.UNSEEN: "not seen: Kinesis acknowledged it; it is neither in the lake nor in what was read",
}


def as_lines(told: Timeline, now: datetime) -> list[str]:
    """For people. Times are in UTC."""
    lines = [*_wrapped(_headline(told), first="", then="  "), *_trace(told)]
    for day, some in groupby(told.happenings, key=lambda one: one.header.occurred_at.astimezone(UTC).date()):
        lines += ["", f"{day} UTC   arrived"]
        for one in some:
            lines += _happening(one)
    found = {one.whereabouts for one in told.happenings}
    lines += [
        line for kind, means in _MEANS.items() if kind in found for line in _wrapped([means], first="", then="  ")
    ]
    for bad in told.unreadable:
        words = [f"a record of {_moment(bad.arrived_at)} is no event", bad.why, f"at {_place(bad.place)}"]
        lines += _wrapped(words, first="", then="  ")
    for apart in told.letters:
        lines += _wrapped([_letter(apart)], first="", then="  ")
    for effect in told.untold:
        first, *more = _effect(effect) or ["its effect was had"]
        follows = [f"{effect.told.event_type}, which follows, was seen nowhere"] if effect.told else []
        lines += _wrapped([f"{effect.consumer}: {first}", *more, *follows], first="", then="  ")
    looked = [line for words in _looked(told.looked) for line in _wrapped(words, first="", then="  ")]
    return [*lines, "", *_next(told, now), "", *looked]


def not_found(facts: OrderFacts) -> UserError:
    """For an order of which nothing is known: where it was looked for."""
    where = "; ".join(", ".join(words) for words in _looked(facts.looked))
    fix = "name an order as its `order_id` is, in the API's answer or in the lake's table `orders`"
    more = "" if facts.looked.is_whole else "; or give it more --seconds"
    return UserError(f"there is no event of order {facts.order_id!r}: {where}", fix + more)


def _headline(told: Timeline) -> list[str]:
    repeats = sum(len(one.repeats) for one in told.happenings)
    letters = len(told.letters) + sum(len(one.set_apart) for one in told.happenings)
    state = f"ended with {told.ended_by}" if told.ended_by else "under way"
    return [
        f"order {one_line(told.order_id)}",
        "no placing of it was seen" if told.lacks_placing else state,
        counted(len(told.happenings), "event"),
        *([counted(repeats, "repeat")] if repeats else []),
        *([counted(letters, "dead letter")] if letters else []),
    ]


def _trace(told: Timeline) -> Iterator[str]:
    for trace_id in told.trace_ids:
        yield from _wrapped([f"trace {trace_id}"], first="", then="  ")
    shards = dict.fromkeys(one.place[0] for one in told.happenings if one.place)
    if shards:
        yield from _wrapped([f"on {', '.join(shards)}"], first="", then="  ")


def _happening(one: Happening) -> Iterator[str]:
    header = one.header
    late = _lag(one.arrived_at - header.occurred_at) if one.arrived_at else "-"
    columns = f"{_cut(header.event_type):{_NAME}} {_cut(header.producer):{_NAME}}"
    yield f"{_time(header.occurred_at)}  {late:>9}  {columns} {one.whereabouts.value}".rstrip()
    details = [
        f"event {header.event_id}",
        *([f"at {_place(one.place)}"] if one.place else []),
        _cause(one),
        *(part for effect in one.remembered if effect.told for part in _effect(effect)),
    ]
    yield from _wrapped(details, first="    ", then="    ")
    for repeat in one.repeats:
        yield from _wrapped([_repeat(one, repeat)], first="    ", then="      ")
    for effect in one.remembered:
        if effect.told is None:
            yield from _wrapped([f"{effect.consumer} did its part", *_effect(effect)], first="    ", then="      ")
    for letter in one.set_apart:
        yield from _wrapped([_letter(letter)], first="    ", then="      ")


def _effect(effect: Remembered) -> list[str]:
    """The message sent, and the attempts where it took more than one."""
    words = [f"{effect.channel} message {effect.message_id}"] if effect.message_id else []
    if effect.attempts:
        failure = f": {effect.attempts.last_failure}" if effect.attempts.last_failure else ""
        words.append(f"after {counted(effect.attempts.count, 'attempt')}{failure}")
    return words


def _cause(one: Happening) -> str:
    if one.because_of:
        return f"because of {one.because_of}" + (", which arrived later" if one.before_its_cause else "")
    return f"its cause {one.header.cause} was not seen" if one.lacks_cause else f"by command {one.header.cause}"


def _repeat(one: Happening, repeat: Repeat) -> str:
    later = f", {_lag(repeat.arrived_at - one.arrived_at)}" if repeat.arrived_at and one.arrived_at else ""
    return f"repeated at {_place(repeat.place)}{later}" + (": dropped, no row of the lake" if repeat.dropped else "")


def _letter(letter: SetApart) -> str:
    times = f" after {counted(letter.attempts, 'attempt')}" if letter.attempts else ""
    when = f" at {_moment(letter.failed_at)}" if letter.failed_at else ""
    what = letter.kind or "a letter that cannot be opened"
    dropped = ", dropped since" if letter.dropped else ""
    return f"set apart by {letter.consumer}{when}{times}: {what}{dropped}; `takeaway dlq show {letter.shown_by}`"


def _next(told: Timeline, now: datetime) -> Iterator[str]:
    unpublished = [one.header for one in told.happenings if one.whereabouts is Whereabouts.STORED]
    if not told.upcoming and not unpublished:
        why = f": {told.ended_by} ended it" if told.ended_by else ", as far as was seen"
        yield f"next: nothing{why}"
        return
    yield "next"
    for header in unpublished:
        words = [f"{header.producer} publishes {header.event_type}", "with the same request again, or the next command"]
        yield from _wrapped(words, first="  ", then="    ")
    for one in told.upcoming:
        yield from _wrapped([f"{one.actor} tells {' or '.join(one.tells)}", *_due(one, now)], first="  ", then="    ")


def _due(one: Upcoming, now: datetime) -> list[str]:
    left = one.due - now
    when = f"{roughly(-left)} overdue" if one.is_overdue(now) else f"within {roughly(left)}"
    return [f"by {_moment(one.due)}", when, f"after {one.because_of}", f"owner: {one.owner}"]


def _looked(looked: Looked) -> Iterator[list[str]]:
    """Where one looked, and what was left out."""
    lake = "no lake yet" if looked.lake_version is None else f"the lake (version {looked.lake_version})"
    shards = ", ".join(one.shard_id for one in looked.shards) or "no shard"
    yield [f"looked in {lake}", "the orders table", f"{counted(looked.letters, 'dead letter')}", f"on {shards}"]
    for one in looked.shards:
        if not one.up_to_tip:
            place = f"at {_moment(one.last)}" if one.last else "before its first record"
            yield [f"time was up on {one.shard_id} {place}", "what came later is not shown", _MORE]
        elif one.since_first is False:
            missed = "repeats and unreadable records that the lake is past may not be shown"
            yield [f"time was up on {one.shard_id}", missed, _MORE]
    if looked.letters_unread:
        yield [f"{counted(looked.letters_unread, 'dead letter')} could not be told to be the order's or not"]
    yield from ([f"not looked in {why}"] for why in looked.not_looked)


def _place(place: StreamPosition) -> str:
    number = place[1]
    return f"…{number.number[-_DIGITS:]}" + (f".{number.sub}" if number.sub else "")


def _lag(length: timedelta) -> str:
    seconds = length.total_seconds()
    if abs(seconds) < 100:
        return f"{seconds:+.3f} s"
    return f"{'-' if seconds < 0 else '+'}{roughly(abs(length))}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S.%f}"[:-3]


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _cut(name: str) -> str:
    name = one_line(name)
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _wrapped(parts: Iterable[str], *, first: str, then: str) -> list[str]:
    """The parts with dots between them; a line ends between two of them, where it can."""
    kept = [one_line(part) for part in parts]
    text = " · ".join(part.replace(" ", _NO_BREAK) if len(part) < WIDTH - len(then) else part for part in kept)
    text = text.replace(f" ·{_NO_BREAK}", " · ")
    wrapped = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
    return [
        line.replace(_NO_BREAK, " ").rstrip(" ·") if line.endswith(" ·") else line.replace(_NO_BREAK, " ")
        for line in wrapped
    ]
