"""The choreography as a drawing: a column for each participant, a line for each event from who tells to who listens.

Pure: where things are; the template writes the SVG.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from events import arrows
from producers.pages.operations.facts import Operations

_COLUMN, _ROW, _TOP, _SIDE = 150, 44, 60, 80


@dataclass(frozen=True)
class Participant:
    """The middle of its column. Its name is in two lines where it is of two words."""

    name: str
    x: int

    @property
    def words(self) -> list[str]:
        return self.name.split("_")


@dataclass(frozen=True)
class Arrow:
    """From `x` to `to` at `y`. `waiting` are events that the listener has not done, None where that is not known."""

    teller: str
    event: str
    listener: str
    x: int
    to: int
    y: int
    count: int
    rate: float
    waiting: int | None = None
    is_stuck: bool = False

    @property
    def middle(self) -> int:
        return (self.x + self.to) // 2

    @property
    def turned(self) -> int:
        """Which way its head points."""
        return 1 if self.to > self.x else -1


@dataclass(frozen=True)
class Drawing:
    participants: tuple[Participant, ...]
    arrows: tuple[Arrow, ...]
    width: int
    height: int


def drawing(look: Operations, told: Sequence[tuple[str, str, str]] | None = None) -> Drawing:
    """`told` is who tells which event to whom; the choreography's own where it is None."""
    told = arrows() if told is None else told
    names = dict.fromkeys(name for teller, _, listener in told for name in (teller, listener))
    columns = {name: _SIDE + _COLUMN * number for number, name in enumerate(names)}
    consumers = {one.name: one for one in look.consumers}
    drawn = []
    for number, (teller, event, listener) in enumerate(told):
        consumer = consumers.get(listener)
        waiting = None if consumer is None or consumer.waiting is None else consumer.waiting.get(event, 0)
        drawn.append(
            Arrow(
                teller,
                event,
                listener,
                columns[teller],
                columns[listener],
                _TOP + _ROW * (number + 1),
                look.counts.get(event, 0),
                look.rates.get(event, 0.0),
                waiting,
                is_stuck=consumer is not None and not consumer.is_well,
            )
        )
    participants = tuple(Participant(name, x) for name, x in columns.items())
    width = 2 * _SIDE + _COLUMN * max(0, len(columns) - 1)
    return Drawing(participants, tuple(drawn), width, _TOP + _ROW * (len(drawn) + 1))
