"""`make bench-failover`: kill -9 and SIGTERM of real workers at the default failover time, under a light load.

Pairs of workers, each pair with a stream of its own, so that several can lose one at a time.
"""

import os
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from consumers.engines.worker.settings import WorkerSettings
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.percentiles import percentile
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.backends import EMBEDDED
from takeaway.local.processes import Running, Service
from tests.benchmarks.failover_worker import CONSUMER, Given, given
from tests.benchmarks.figures import Figure, one_line, within

PAIRS = 5
KILLS_A_PAIR = 4
SHARDS = 2
SECONDS_BETWEEN_PUTS = 0.2
PATIENCE = 60.0

SETTINGS = WorkerSettings("any", "any")
# Seen to stand still for the failover time, at looks that are so far apart; and a read.
LIMIT = SETTINGS.failover_seconds + 2 * SETTINGS.round_seconds + 1
RELEASE_LIMIT = 2.0

_wait = uninterrupted_wait()


@dataclass
class Pair:
    """Two workers of one application, who share its stream's two shards."""

    name: str
    folder: Path
    environ: dict[str, str]
    workers: list[Running] = field(default_factory=list)
    put: set[str] = field(default_factory=set)
    started: int = 0

    def __post_init__(self) -> None:
        self.kinesis: Any = aws.client("kinesis", self.environ)
        self.kinesis.create_stream(StreamName=self.name, ShardCount=SHARDS)
        self.kinesis.get_waiter("stream_exists").wait(StreamName=self.name)
        application = f"{self.name}-{CONSUMER}"
        self._table = LeaseTable(aws.client("dynamodb", self.environ), application, "onlooker")

    def start_worker(self) -> None:
        self.started += 1
        name = f"{self.name}-{self.started}"
        service = Service(name, "tests.benchmarks.failover_worker", [str(self.file)], following=True)
        environ = {
            **self.environ,
            "TAKEAWAY_STREAM": self.name,
            "TAKEAWAY_STACK": self.name,
            **dict.fromkeys(
                (
                    f"TAKEAWAY_{name}"
                    for name in (
                        "OUTCOMES_TABLE",
                        "DEAD_LETTER_BUCKET",
                        "CUSTOMER_KEY_BUCKET",
                        "TICKET_TOPIC",
                        "SENDER",
                    )
                ),
                "unused",
            ),
        }
        self.workers.append(processes.start_process(service, environ=environ, logs=self.folder / "logs"))

    def put_to_each_shard(self) -> None:
        for number in range(SHARDS):
            text = f"{len(self.put)}"
            hash_key = str(number * 2**127)
            self.kinesis.put_record(
                StreamName=self.name, Data=text.encode(), PartitionKey=text, ExplicitHashKey=hash_key
            )
            self.put.add(text)

    def is_shared(self) -> bool:
        """Each worker reads one shard: the last records of the shards came from both."""
        last = {each.shard_id: each.worker for each in self.given()}
        return set(last.values()) == {worker.pid for worker in self.workers} and len(last) == SHARDS

    def is_all_read(self) -> bool:
        return self.put <= {each.text for each in self.given()}

    def shard_of(self, worker: Running) -> str:
        return next(each.shard_id for each in reversed(self.given()) if each.worker == worker.pid)

    def first_elsewhere(self, shard_id: str, after: float, than: int) -> Given | None:
        return next(
            (each for each in self.given() if each.shard_id == shard_id and each.at > after and each.worker != than),
            None,
        )

    def given(self) -> list[Given]:
        return list(given(self.file)) if self.file.exists() else []

    def leases(self) -> Sequence[Lease]:
        return list(self._table.list().values())

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.jsonl"


def until(holds: Callable[[], Any], what: str) -> Any:
    deadline = SYSTEM_CLOCK.monotonic() + PATIENCE
    while not (answer := holds()):
        if SYSTEM_CLOCK.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:g} s: {what}")
        _wait(0.05)
    return answer


def killed(pair: Pair, dice: random.Random) -> float:
    """Seconds from a worker's kill -9 to the first record of its shard that the other is given."""
    until(pair.is_shared, f"{pair.name} is shared")
    _wait(dice.random() * SETTINGS.renewal_seconds)  # at any moment between two heartbeats
    victim = dice.choice(pair.workers)
    shard_id = pair.shard_of(victim)
    killed_at = SYSTEM_CLOCK.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    pair.workers.remove(victim)
    first = until(lambda: pair.first_elsewhere(shard_id, killed_at, victim.pid), f"{pair.name}: {shard_id} is read")
    pair.start_worker()
    return float(first.at - killed_at)


def released(pair: Pair) -> tuple[float, float]:
    """Seconds from SIGTERM to both workers until no lease is held, and until both have ended."""
    started = SYSTEM_CLOCK.monotonic()
    for worker in pair.workers:
        os.kill(worker.pid, signal.SIGTERM)
    until(lambda: all(lease.holder is None for lease in pair.leases()), f"{pair.name}: leases are free")
    free = SYSTEM_CLOCK.monotonic()
    until(lambda: not any(worker.process() for worker in pair.workers), f"{pair.name}: workers have ended")
    codes = [processes.exit_code(worker) for worker in pair.workers]
    if codes != [0, 0]:
        raise RuntimeError(f"{pair.name}: the workers ended with {codes}; their logs are in {pair.folder}")
    return free - started, SYSTEM_CLOCK.monotonic() - started


def each(pairs: Sequence[Pair], work: Callable[[Pair], None]) -> None:
    """The work for all pairs at once; what goes wrong with one is raised."""
    errors: list[BaseException] = []

    def caught(pair: Pair) -> None:
        try:
            work(pair)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that cares
            errors.append(error)

    threads = [threading.Thread(target=caught, args=(pair,)) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def run(folder: Path) -> list[Figure]:
    backend, reached = EMBEDDED.start(local_aws.free_port(), folder / "logs", following=True)
    environ = {**os.environ, **reached}
    pairs = [Pair(f"pair-{number}", folder, environ) for number in range(PAIRS)]
    seconds: list[float] = []
    free: list[float] = []
    ended: list[float] = []
    calm = threading.Event()

    def put(pair: Pair) -> None:
        while not calm.wait(SECONDS_BETWEEN_PUTS):
            pair.put_to_each_shard()

    def kill_again_and_again(pair: Pair) -> None:
        dice = random.Random(pair.name)
        for _ in range(2):
            pair.start_worker()
        seconds.extend(killed(pair, dice) for _ in range(KILLS_A_PAIR))
        until(pair.is_shared, f"{pair.name} is shared")

    def release(pair: Pair) -> None:
        took = released(pair)
        free.append(took[0])
        ended.append(took[1])

    putting = threading.Thread(target=each, args=(pairs, put), daemon=True)
    putting.start()
    try:
        each(pairs, kill_again_and_again)
        each(pairs, release)
        calm.set()
        putting.join()
        # What came while they ended is read by those who come next.
        each(pairs, Pair.start_worker)
        for pair in pairs:
            until(pair.is_all_read, f"{pair.name}: all is read")
    finally:
        calm.set()
        processes.stop_processes([backend, *(worker for pair in pairs for worker in pair.workers)], grace=10)
    counts = Counter((pair.name, one.text) for pair in pairs for one in pair.given())
    lost = sum(1 for pair in pairs for text in pair.put if (pair.name, text) not in counts)
    print(f"kill -9, {len(seconds)} times: {' '.join(f'{one:.1f}' for one in sorted(seconds))} s")  # noqa: T201
    print(f"{counts.total()} deliveries of {len(counts)} records: {lost} lost, {counts.total() - len(counts)} repeated")  # noqa: T201
    return [
        within("kill -9 to the first record elsewhere, p50", percentile(seconds, 50), LIMIT, "s"),
        within("kill -9 to the first record elsewhere, p95", percentile(seconds, 95), LIMIT, "s"),
        within("records lost", lost, 0, "records"),
        within("records repeated, at most a batch a kill", counts.total() - len(counts), len(seconds), "records"),
        within("SIGTERM to released leases, longest", max(free), RELEASE_LIMIT, "s"),
        within("SIGTERM to ended processes, longest", max(ended), RELEASE_LIMIT, "s"),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = run(Path(folder))
        except Exception:
            for log in sorted(Path(folder, "logs").glob("pair-*.log")):
                sys.stderr.write(f"{log.name}: ...{log.read_text()[-1500:]}\n")
            raise
    print(one_line(figures))  # noqa: T201


if __name__ == "__main__":
    main()
