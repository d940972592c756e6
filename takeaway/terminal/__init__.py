"""What commands print: tables, files, letters, bad lines."""

from takeaway.terminal.answers import jsonable, rows_of
from takeaway.terminal.bad_lines import BadLines
from takeaway.terminal.files import write, writing
from takeaway.terminal.tables import counted, in_words, piped, roughly, show_rows

__all__ = [
    "BadLines",
    "counted",
    "in_words",
    "jsonable",
    "piped",
    "roughly",
    "rows_of",
    "show_rows",
    "write",
    "writing",
]
