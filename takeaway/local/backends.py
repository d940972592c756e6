"""The local AWS: which emulators there are, how each is started, and what load each can carry.

Everything else knows an endpoint. What they do differently from AWS is in docs/backends.md.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from foundation.clock import SYSTEM_CLOCK, Clock, Wait, uninterrupted_wait
from takeaway.errors import UserError
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.processes import Running, Service
from takeaway.terminal import writing

# The checkout's own folder, no Python package: the template of the resources, and how each local AWS is started.
LOCALSTACK_FOLDER = Path(str(files("takeaway"))).parent / "localstack"

# What it is called among the processes that `takeaway up` started.
LOCAL_AWS = "local-aws"


@dataclass(frozen=True)
class Backend:
    """An emulator of AWS: MiniStack, or what one of the scripts in localstack/ installs and runs.

    `orders` at `rate` a second are what `takeaway demo` asks of it, unless told otherwise.
    """

    name: str
    orders: int
    rate: float
    start_seconds: float
    script: str | None = None

    def unusable(self) -> str | None:
        """Why this machine cannot run it, in the script's own words; None when it can."""
        if self.script is None:
            return None
        checked = subprocess.run([*self._script, "check"], capture_output=True, text=True, check=False)  # noqa: S603
        return checked.stderr.strip() if checked.returncode else None

    def start(
        self, port: int, logs: Path, *, following: bool, clock: Clock = SYSTEM_CLOCK, wait: Wait | None = None
    ) -> tuple[Running, dict[str, str]]:
        """Starts it on 127.0.0.1, installing it first.

        Answers, once it is healthy, with its process and the variables that lead to it, its new key among them.
        """
        wait = wait or uninterrupted_wait()
        endpoint, key = f"http://127.0.0.1:{port}", local_aws.new_key()
        self.install()
        environ = _environ(port, key, logs / "local-aws")
        running = processes.start_process(self._service(port, following=following), environ=environ, logs=logs)
        try:
            self._await_health(running, endpoint, port, clock, wait)
        except BaseException:
            # Also at a Ctrl-C: nobody has written down yet that it runs.
            processes.stop_processes([running], grace=1)
            raise
        return running, local_aws.local_environ(endpoint, key)

    def _await_health(self, running: Running, endpoint: str, port: int, clock: Clock, wait: Wait) -> None:
        deadline = clock.monotonic() + self.start_seconds
        while not local_aws.healthy(endpoint):
            ended = running.process() is None
            if ended or clock.monotonic() > deadline:
                how = "ended" if ended else f"did not answer within {self.start_seconds:g} s"
                raise UserError(
                    f"the local AWS ({self.name}) on port {port} {how}",
                    f"read {running.log}:\n{processes.last_words(running)}",
                )
            wait(0.1)

    def install(self) -> None:
        """What needs doing once on a machine, if anything; what takes long says so on stdout."""
        if self.script is None:
            return
        done = subprocess.run([*self._script, "install"], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
        if done.returncode:
            what, _, fix = done.stderr.partition("error: ")[2].partition("\nfix: ")
            raise UserError(what or f"{self.script} install: {done.stderr}", fix or "mend the cause, and try again")

    @property
    def _script(self) -> Sequence[str]:
        return ["bash", str(LOCALSTACK_FOLDER / str(self.script))]

    def _service(self, port: int, *, following: bool) -> Service:
        if self.script is None:
            return Service(LOCAL_AWS, "takeaway.programs.embedded", following=following)
        return Service(LOCAL_AWS, "takeaway.programs.foreign", [*self._script, "run", str(port)], following)


EMBEDDED = Backend("embedded", orders=600, rate=25, start_seconds=30)
LOCALSTACK = Backend("localstack", orders=200, rate=10, start_seconds=90, script="host.sh")
DOCKER = Backend("docker", orders=200, rate=10, start_seconds=180, script="docker.sh")
BACKENDS = {backend.name: backend for backend in (EMBEDDED, LOCALSTACK, DOCKER)}


def backend_named(name: str) -> Backend:
    if name not in BACKENDS:
        raise UserError(f"no back end is called {name!r}", f"one of: {', '.join(BACKENDS)}")
    return BACKENDS[name]


def _environ(port: int, key: str, own: Path) -> dict[str, str]:
    """The user's variables but for secrets; MiniStack's settings, the key it asks for, and a folder for its files.

    In /tmp they could be another user's on the same machine.
    """
    with writing(own):
        own.mkdir(parents=True, exist_ok=True)
    return {
        **processes.without_secrets(),
        **dict.fromkeys(("TMPDIR", "STATE_DIR", "S3_DATA_DIR"), str(own)),
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SESSION_TOKEN": key,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": local_aws.REGION,
        # It starts every service it knows unless told which; SFTP would open a port of its own.
        "SERVICES": "cloudformation,dynamodb,iam,kinesis,kms,s3,ses,sns,sqs,sts",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "PERSIST_STATE": "0",
        "LOG_LEVEL": "WARNING",
    }
