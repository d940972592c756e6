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
from takeaway.doctor.machine import own_variables, processes
from takeaway.doctor.resources import back_end, dead_letters
from takeaway.doctor.rows import capacity_rows, lake_rows, letter_rows, order_rows
from takeaway.doctor.settings import examined_sources, stack_settings

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
    "back_end",
    "capacity_rows",
    "dead_letters",
    "examine",
    "examined_sources",
    "findings",
    "lake_rows",
    "letter_rows",
    "order_rows",
    "own_variables",
    "processes",
    "size_in_words",
    "stack_settings",
    "warnings",
]
