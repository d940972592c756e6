"""What the processes of this home told in their logs: merged by time, followed, made readable."""

from takeaway.logs.files import LogFolder
from takeaway.logs.lines import LogLine
from takeaway.logs.showing import LineShown

__all__ = ["LineShown", "LogFolder", "LogLine"]
