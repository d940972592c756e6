"""What commands print: tables, files, letters, bad lines."""

from takeaway.terminal.answers import jsonable, rows_of
from takeaway.terminal.bad_lines import BadLines
from takeaway.terminal.files import DEFAULT_HOME, private_folder, write, write_first, writing
from takeaway.terminal.saying import PlainConsole, say, typed
from takeaway.terminal.tables import counted, in_words, piped, roughly, show_rows

__all__ = [
    "DEFAULT_HOME",
    "BadLines",
    "PlainConsole",
    "counted",
    "in_words",
    "jsonable",
    "piped",
    "private_folder",
    "roughly",
    "rows_of",
    "say",
    "show_rows",
    "typed",
    "write",
    "write_first",
    "writing",
]
