"""The whole flow as real processes that a test can kill, freeze, aim elsewhere and start again."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from consumers.specs import readers
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis import position_key
from takeaway.audit.evidence import gather, ledger_facts, step_checkpoints
from takeaway.audit.lake import lake_has
from takeaway.audit.observer import StreamObserver
from takeaway.audit.verdict import Audit, Bounds, audit
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.processes import Running, Service
from takeaway.stack import deployment
from takeaway.stack.flow import api_url, at_speed

# How many times as fast as real kitchens those of a load are.
SPEED = 1000
# LocalStack is slower: leases last longer there, and so does the time for an answer.
BACKEND = os.environ.get("TAKEAWAY_TEST_BACKEND", "embedded")
# On a machine that is too slow a lease is lost, or an answer comes too late: an event is told again then, no effect is.
TOLD_AGAIN = Bounds(repeated_events=1_000)
_PAUSE = threading.Event()


# So long a drain waits for those whose reads are rare.
_HEARD_WITHIN_SECONDS = 20.0


def pause(seconds: float) -> None:
    _PAUSE.wait(seconds)


def until(holds: Callable[[], Any], *, within: float = 60, every: float = 0.1) -> Any:
    """What `holds` answers as soon as that is true."""
    deadline = SYSTEM_CLOCK.monotonic() + within
    while not (answer := holds()):
        assert SYSTEM_CLOCK.monotonic() < deadline, f"not within {within} s: {holds}"
        pause(every)
    return answer


def our_processes(home: Path) -> list[psutil.Process]:
    """Every live process that was started with this home folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TAKEAWAY_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


@contextmanager
def frozen(service: Running) -> Iterator[None]:
    """Stops all of it for a while: LocalStack is a family of processes, and any of them would go on answering."""
    family = processes._related({processes._mark(service.log)})
    assert service.pid in {process.pid for process in family}
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in family:
            process.resume()


@dataclass
class Flow:
    """A stack on a local AWS of its own. `environ` reaches AWS itself; a process can be given another endpoint."""

    home: Path
    environ: dict[str, str]
    api_port: int = field(default_factory=local_aws.free_port)
    running: dict[str, Running] = field(default_factory=dict)

    @classmethod
    def deployed(cls, home: Path, reached: Mapping[str, str], *, shards: int = 2) -> "Flow":
        environ = {**os.environ, **reached, "TAKEAWAY_HOME": str(home)}
        environ |= deployment.deploy(environ, shards=shards)
        # Short, so that a killed worker's leases are free again soon, and files come often.
        failover = "2" if BACKEND == "embedded" else "5"
        environ |= {
            "TAKEAWAY_FAILOVER_SECONDS": failover,
            "TAKEAWAY_LAKE_FILE_AGE": "1",
            "TAKEAWAY_TOKEN_KEY": "k" * 64,
        }
        environ |= at_speed(SPEED, BACKEND)
        return cls(home, environ)

    @property
    def ledger(self) -> Path:
        return self.home / "ledger"

    def start(self, name: str, *arguments: str, module: str = "takeaway.cli", **variables: str) -> Running:
        service = Service(name, module, arguments, following=True)
        self.running[name] = processes.start_process(
            service, environ={**self.environ, **variables}, logs=self.home / "logs"
        )
        return self.running[name]

    def start_consumer(self, consumer: str, *, module: str = "takeaway.cli", **variables: str) -> Running:
        return self.start(consumer, "work", consumer, module=module, **variables)

    def start_api(self, **variables: str) -> Running:
        return self.start_another_api("api", self.api_port, **variables)

    def start_another_api(self, name: str, port: int, **variables: str) -> Running:
        running = self.start(name, "serve", "--port", str(port), **variables)
        until(partial(_api_answers, port), within=30)
        return running

    def start_load(self, *, orders: int, rate: float, seed: int) -> Running:
        """With the deadline watcher beside it, which needs a tracker: what restaurants leave unanswered expires."""
        self.start("watcher", "watch")
        flags = {"--orders": orders, "--rate": rate, "--seed": seed, "--speed": SPEED, "--ledger": self.ledger}
        arguments = [text for flag, value in flags.items() for text in (flag, str(value))]
        return self.start("load", "load", "--api", api_url(self.api_port), *arguments)

    def living(self, name: str) -> psutil.Process | None:
        """The process of this name at this moment, if it has not ended."""
        return self.running[name].process()

    def kill(self, name: str) -> None:
        os.kill(self.running[name].pid, signal.SIGKILL)
        until(lambda: self.running[name].process() is None)

    def stop(self, name: str) -> int | None:
        """SIGTERM, and the exit code."""
        processes.stop_processes([self.running[name]], grace=40)
        return processes.exit_code(self.running[name])

    def stop_all(self) -> None:
        processes.stop_processes(self.running.values(), grace=20)

    def finish_load(self, within: float = 180) -> None:
        """Longer than orders that are not answered wait until they expire, which is a minute on LocalStack."""
        until(lambda: self.running["load"].process() is None, within=within)
        assert processes.exit_code(self.running["load"]) == 0, self.log("load")

    def drain(self, within: float = 120) -> None:
        """Until every promised event is on the stream, and every event of the stream in the lake."""
        observer = StreamObserver(self.environ)
        promised = Counter(fact.event_id for fact in ledger_facts(self.ledger) if fact.certain).keys()

        def drained() -> bool:
            observer.look()
            return promised <= observer.seen and lake_has(self.environ, observer.records)

        until(drained, within=within, every=0.5)
        # What nothing follows from is heard later, by readers with few reads. One that stands is not waited for.
        deadline = SYSTEM_CLOCK.monotonic() + _HEARD_WITHIN_SECONDS
        while not self._is_heard(observer) and SYSTEM_CLOCK.monotonic() < deadline:
            pause(0.5)

    def _is_heard(self, observer: StreamObserver) -> bool:
        """Whether each reader that runs has a checkpoint at the last record of each shard, or behind it."""
        observer.look()
        reached = step_checkpoints(self.environ)
        running = [name for name in readers() if name in reached and name in self.running and self.living(name)]
        return all(
            shard in reached[name] and position_key(reached[name][shard]) >= position_key(last)
            for name in running
            for shard, last in observer.positions.items()
        )

    def look(self, bounds: Bounds | None = None, *, ignore_others: bool = False) -> Audit:
        """The audit at this moment."""
        return audit(gather(self.environ, self.ledger), bounds or Bounds(), ignore_others=ignore_others)

    def audit(self, bounds: Bounds | None = None, *, ignore_others: bool = False) -> Audit:
        """Of a flow that has come to rest."""
        verdict = self.look(bounds, ignore_others=ignore_others)
        assert verdict.at_rest, verdict.waiting_for
        return verdict

    def log(self, name: str) -> str:
        return (self.home / "logs" / f"{name}.log").read_text()


def _api_answers(port: int) -> bool:
    try:
        return httpx.get(f"{api_url(port)}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False
