"""`takeaway doctor`: facts collected, and what is wrong with them, each with a fix."""

from takeaway.doctor.examination import examine
from takeaway.doctor.facts import (
    BackEnd,
    Checkup,
    Consumer,
    DeadLetters,
    Disk,
    Problem,
    Process,
    Section,
    Setting,
)
from takeaway.doctor.judge import findings, size_in_words, warnings
from takeaway.doctor.settings import examined_sources

__all__ = [
    "BackEnd",
    "Checkup",
    "Consumer",
    "DeadLetters",
    "Disk",
    "Problem",
    "Process",
    "Section",
    "Setting",
    "examine",
    "examined_sources",
    "findings",
    "size_in_words",
    "warnings",
]
