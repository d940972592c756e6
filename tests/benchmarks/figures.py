"""What a benchmark ends with: one line of JSON, a list of figures, each beside its peer's and its target."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True)
class Figure:
    """`ratio` is the peer's figure over ours: how many times less ours is. `target` is the least that it should be.

    What only counts, or has nobody beside it, has no ratio.
    """

    name: str
    ours: float
    peer: float | None
    unit: str
    ratio: float | None
    target: float | None
    met: bool | None


def beside(name: str, ours: Sequence[float], peer: Sequence[float], unit: str, target: float | None = None) -> Figure:
    """The medians of the rounds."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    ratio = theirs / mine
    return Figure(
        name,
        round(mine, 3),
        round(theirs, 3),
        unit,
        round(ratio, 2),
        target,
        None if target is None else ratio >= target,
    )


def one_line(figures: Sequence[Figure]) -> str:
    return msgspec.json.encode(figures).decode()


def within(name: str, ours: float, limit: float, unit: str) -> Figure:
    """Beside the most that it may be, for what no peer has. Nothing at all is as good as it gets."""
    ratio = round(limit / ours, 2) if ours else 1.0
    return Figure(name, round(ours, 3), limit, unit, ratio, 1.0, ours <= limit)


def none_of(name: str, ours: int, peer: int, unit: str) -> Figure:
    """Beside what a peer has of what nobody should have any."""
    return Figure(name, ours, peer, unit, None, None, ours == 0)


def alone(name: str, ours: float, unit: str) -> Figure:
    """For what is told and has no bound."""
    return Figure(name, round(ours, 3), None, unit, None, None, None)


def at_least(name: str, ours: float, least: float, unit: str) -> Figure:
    """Beside the least that it should be, for what no peer has."""
    return Figure(name, round(ours, 4), least, unit, round(ours / least, 3), 1.0, ours >= least)
