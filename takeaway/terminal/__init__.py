"""What commands print: tables, files, letters, bad lines."""

from takeaway.terminal.answers import jsonable, rows_of
from takeaway.terminal.bad_lines import BadLines
from takeaway.terminal.files import DEFAULT_HOME, new_file, private_folder, write, write_first, writing
from takeaway.terminal.interrupted import Interrupted
from takeaway.terminal.saying import PlainConsole, PlainOut, say, typed
from takeaway.terminal.streamed import Form, write_rows
from takeaway.terminal.tables import counted, in_words, piped, roughly, show_rows
from takeaway.terminal.under_way import Tell, waiting

__all__ = [
    "DEFAULT_HOME",
    "BadLines",
    "Form",
    "Interrupted",
    "PlainConsole",
    "PlainOut",
    "Tell",
    "counted",
    "in_words",
    "jsonable",
    "new_file",
    "piped",
    "private_folder",
    "roughly",
    "rows_of",
    "say",
    "show_rows",
    "typed",
    "waiting",
    "write",
    "write_first",
    "write_rows",
    "writing",
]
