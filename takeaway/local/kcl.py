"""Runs a consumer under the KCL: finds Java, starts the daemon, and ends it in good order."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from consumers.engines.kcl import (
    DAEMON_GRACE_SECONDS,
    DAEMON_LOGGING,
    OLDEST_JAVA,
    daemon_command,
    java_version,
    properties_text,
    with_this_python,
)
from foundation.clock import Wait
from takeaway.errors import UserError
from takeaway.terminal import write

# A JVM that was ended by SIGTERM, its shutdown hooks done.
_ENDED_BY_SIGTERM = 128 + signal.SIGTERM
_GLANCE_SECONDS = 0.5
# Past its own grace a daemon has only to exit.
_EXIT_SECONDS = 10.0


def run_kcl(properties: Mapping[str, str], home: Path, environ: Mapping[str, str], wait: Wait) -> int:
    """Until `wait` is cut short or the daemon ends by itself. Its exit code; 0 when it was stopped and did stop."""
    told, logging = home / "kcl.properties", home / "logback.xml"
    write(told, properties_text(properties))
    write(logging, DAEMON_LOGGING)
    daemon = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        daemon_command(java(environ), told, logging),
        env=with_this_python(environ),
        stdin=subprocess.DEVNULL,
        # A group of its own: a Ctrl-C in the terminal reaches us, and what to do about it is ours to say.
        process_group=0,
    )
    while (code := daemon.poll()) is None:
        if wait(_GLANCE_SECONDS):
            return _stopped(daemon)
    return code


def _stopped(daemon: "subprocess.Popen[bytes]") -> int:
    """SIGTERM to the daemon and its children alike: a child that waits for a broken world must hear of it too."""
    os.killpg(daemon.pid, signal.SIGTERM)
    try:
        code = daemon.wait(DAEMON_GRACE_SECONDS + _EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()
        raise UserError(
            f"the KCL's daemon did not end within {DAEMON_GRACE_SECONDS + _EXIT_SECONDS:g} s and was killed",
            "nothing is lost: what was not checkpointed is read again; its last lines above say what it waited for",
        ) from None
    return 0 if code in {0, _ENDED_BY_SIGTERM, -signal.SIGTERM} else code


def java(environ: Mapping[str, str]) -> str:
    """The java of JAVA_HOME, or the one on the PATH. Raises `UserError` when there is none, or too old a one."""
    fix = f"install Java {OLDEST_JAVA} or newer (we test with 17), or use --engine worker, which needs none"
    home = environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java", path=environ.get("PATH"))
    if java is None:
        raise UserError("the KCL needs Java, and there is no java on the PATH", fix)
    try:
        asked = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise UserError(f"{java} cannot be run: {error.strerror}", fix) from error
    version = java_version(asked.stderr + asked.stdout)
    if version is None or version < OLDEST_JAVA:
        raise UserError(f"{java} is version {version or 'unknown'}", fix)
    return java
