"""Open orders, and which of their steps are overdue as far as the tracker has read: judged once for all."""

from takeaway.overdue.looking import FoundOpen, OpenLook, ReadOrders, open_look
from takeaway.overdue.steps import MissedDeadline, missed_deadlines

__all__ = ["FoundOpen", "MissedDeadline", "OpenLook", "ReadOrders", "missed_deadlines", "open_look"]
