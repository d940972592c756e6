"""`takeaway doctor`: facts collected, and what is wrong with them, each with a fix."""

from takeaway.doctor.examination import examine
from takeaway.doctor.facts import (
    BackEnd,
    Checkup,
    Consumer,
    DeadLetters,
    Problem,
    Process,
    Section,
    Setting,
    ShardReading,
)
from takeaway.doctor.judge import findings, megabytes

__all__ = [
    "BackEnd",
    "Checkup",
    "Consumer",
    "DeadLetters",
    "Problem",
    "Process",
    "Section",
    "Setting",
    "ShardReading",
    "examine",
    "findings",
    "megabytes",
]
