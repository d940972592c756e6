"""`python -m takeaway.programs.notebook [--no-browser] [--port N]`: JupyterLab on the lake in use, for this machine.

Our notebooks are copied into build/notebooks, where changes and outputs are the reader's own: what is there stays.
"""

import argparse
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import takeaway
from takeaway.errors import UserError
from takeaway.stack import resolved
from takeaway.terminal import say

# In a container everything is root's; elsewhere `make up` was, too.
AS_ROOT = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
HOST, PORT = "127.0.0.1", 8888
FIRST = "tour_of_the_lake.ipynb"
CHECKOUT = Path(takeaway.__file__).parent.parent
SOURCES = CHECKOUT / "analytics" / "notebooks"
# Asks nobody whether they want news, and wraps long lines.
SETTINGS = Path(__file__).parent / "jupyter"
# Not a word goes to other machines: no news, no look for a newer release, no list of extensions.
_ALONE = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def own_copies(sources: Path, folder: Path) -> list[Path]:
    """Copies into `folder` the notebooks that it does not have yet; answers with these."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [path for path in sorted(sources.glob("*.ipynb")) if not (folder / path.name).exists()]
    return [Path(shutil.copy(path, folder)) for path in missing]


def free_port(wanted: int) -> int:
    """The port if it is free, else any that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError(f"no port of {HOST} is free", "end what listens there")


def command(port: int, root: Path, first: str, further: Sequence[str]) -> list[str]:
    """JupyterLab, with `root` as all that its pages show and `first` opened."""
    return [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.ip={HOST}", f"--ServerApp.port={port}"),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{first}"),
        # Its own lines would print the address with the token once more.
        *("--Application.log_level=ERROR", "--ServerApp.allow_remote_access=False", *_ALONE, *further),
    ]


def browser(environ: Mapping[str, str], platform: str) -> list[str]:
    """Nothing, or what keeps JupyterLab from looking for a browser where no window can open: it might find lynx."""
    displays = platform in {"darwin", "win32"} or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    return [] if displays else ["--no-browser"]


def environment(lake: Mapping[str, str], token: str) -> dict[str, str]:
    """The lake's variables for every kernel, and the token, which no list of processes shows.

    Our own environment's kernel goes before one of the same name in the user's home; our settings are defaults alone.
    """
    settings = os.pathsep.join(filter(None, [lake.get("JUPYTER_CONFIG_PATH"), str(SETTINGS)]))
    return {**lake, "JUPYTER_TOKEN": token, "JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_CONFIG_PATH": settings}


def main(arguments: Sequence[str]) -> None:
    # What the notebooks show is for their reader alone.
    os.umask(0o077)
    parser = argparse.ArgumentParser(prog="make notebook", description="Open JupyterLab on the lake in use.")
    parser.add_argument("--port", type=int, default=PORT, help="the port to listen on, if it is free (%(default)s)")
    known, further = parser.parse_known_args(arguments)
    if find_spec("jupyterlab") is None:
        raise UserError("JupyterLab is not installed", "`make install`, or `pip install takeaway[explore]`")
    lake = resolved()
    folder = Path.cwd() / "build" / "notebooks"
    for copied in own_copies(SOURCES, folder):
        say(f"copied {copied.relative_to(Path.cwd())}")
    port, token = free_port(known.port), secrets.token_urlsafe(24)
    say(f"JupyterLab, until Ctrl-C twice:   http://{HOST}:{port}/lab/tree/{FIRST}?token={token}")
    sys.stdout.flush()
    started = command(port, folder, FIRST, [*further, *browser(os.environ, sys.platform), *AS_ROOT])
    os.execve(sys.executable, started, environment(lake, token))  # noqa: S606 - our own arguments, no shell


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        say(f"error: {error.what}\nfix: {error.fix}", file=sys.stderr)
        sys.exit(2)
