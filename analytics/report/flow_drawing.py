"""The declared flow as a tree in SVG, with what ran on its edges: how often, how soon, how often late."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from analytics.report.words import duration, number
from events import CHOREOGRAPHY, tree

# Below this width the numbers stand under an event's name instead of beside it.
_ROOMY = 560
_ROW, _INDENT, _LEFT, _TOP = 42, 22, 10, 26
# The line to an event is as thick as its part of the orders, at most this.
_THICKEST = 7.0


def flow(answer: Sequence[Mapping[str, Any]], width: int) -> str:
    """`answer` is that of `questions.FLOW`, as rows. An edge on which nothing ran is broken."""
    ran = {(row["step"], row["tells"]): row for row in answer}
    most = max((row["told"] for row in answer), default=0)
    lines, above = [], dict[int, int]()
    drawn = tree()
    top = _TOP if width >= _ROOMY else 8
    for place, (label, step, tells) in enumerate(drawn):
        depth = (len(label) - len(tells)) // 2
        row = ran[CHOREOGRAPHY.index(step), tells]
        y = top + _ROW * place + 12
        parent = above.get(depth - 1)
        lines.append(_row(row, depth, y, parent, most, width))
        above[depth] = y
    height = top + _ROW * len(drawn)
    head = _head(width) if width >= _ROOMY else ""
    return f'<svg class="flow" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">{head}{"".join(lines)}</svg>'


def _row(row: Mapping[str, Any], depth: int, y: int, parent: int | None, most: int, width: int) -> str:
    x = _LEFT + _INDENT * depth
    kind = "idle" if not row["told"] else "late" if row["late"] else "ran"
    thick = 1.2 + (_THICKEST - 1.2) * row["told"] / most if most and row["told"] else 1.2
    line = ""
    if parent is not None:
        left = x - _INDENT
        line = (
            f'<path class="edge {kind}" stroke-width="{thick:.1f}" d="M{left} {parent + 6}V{y - 8}q0 8 8 8H{x - 5}"/>'
        )
    dot = f'<circle class="{kind}" cx="{x}" cy="{y}" r="4.5"/>'
    name = f'<text class="event" x="{x + 11}" y="{y + 4}">{escape(row["tells"])}</text>'
    beneath = escape(row["actor"])
    numbers = ""
    if width >= _ROOMY:
        cells = (number(row["told"]), duration(row["p50"]), duration(row["p95"]), _allowed(row), number(row["late"]))
        for place, (at, text) in enumerate(zip(_columns(width), cells, strict=True)):
            bad = " bad" if place == len(cells) - 1 and row["late"] else ""
            numbers += f'<text class="n{bad}" x="{at}" y="{y + 4}">{text}</text>'
    else:
        beneath += "".join(f" · {part}" for part in _parts(row))
    actor = f'<text class="actor" x="{x + 11}" y="{y + 19}">{beneath}</text>'
    return f"<g><title>{escape(in_words(row))}</title>{line}{dot}{name}{actor}{numbers}</g>"


def in_words(row: Mapping[str, Any]) -> str:
    """restaurant_notifier tells restaurant_notified after order_placed: 1,234 times, half within 1 s, 95% in 2 s."""
    heard = f" after {row['hears']}" if row["hears"] else ""
    return f"{row['actor']} tells {row['tells']}{heard}: {', '.join(_parts(row, long=True))}"


def _parts(row: Mapping[str, Any], *, long: bool = False) -> list[str]:
    if not row["told"]:
        return ["never"]
    parts = [f"{number(row['told'])} times" if long else number(row["told"])]
    if row["p95"] is not None:
        parts += [f"half within {duration(row['p50'])}"] if long else []
        parts += [f"95% in {duration(row['p95'])}"]
    parts += [f"deadline {duration(row['deadline_seconds'])}"] if long and row["deadline_seconds"] else []
    parts += [f"{number(row['late'])} late"] if row["late"] else []
    return parts


def _allowed(row: Mapping[str, Any]) -> str:
    return duration(row["deadline_seconds"])


def _columns(width: int) -> tuple[int, ...]:
    """Where each column of numbers ends."""
    return tuple(width - back for back in (352, 255, 158, 68, 4))


def _head(width: int) -> str:
    titles = ("told", "half within", "95% within", "deadline", "late")
    return "".join(
        f'<text class="n actor" x="{at}" y="14">{title}</text>'
        for at, title in zip(_columns(width), titles, strict=True)
    )
