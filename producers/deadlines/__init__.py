"""The deadline watcher: makes happen what nobody asks for, and tells of every step that did not come in time."""

from producers.deadlines.judging import overdue
from producers.deadlines.reach import Reach
from producers.deadlines.watcher import Watcher

__all__ = ["Reach", "Watcher", "overdue"]
