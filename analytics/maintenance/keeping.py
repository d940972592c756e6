"""The lake keeps itself: sealed days are compacted, the log is kept small, and what no reader needs any more goes.

Beside archivers, commands and other keepers. A keeper holds nothing: killed at any moment it loses and doubles nothing,
and the next round of any keeper goes on from what it finds.
"""

import random
from collections.abc import Callable
from datetime import timedelta

from analytics.archiving import KeepingFailed, LakeKept
from analytics.maintenance.compaction import Compactor
from analytics.maintenance.log_care import LogCare
from analytics.maintenance.vacuum import RETENTION, Vacuum
from analytics.table import CommitLog
from foundation.clock import Wait
from foundation.diagnostics import Emit

EVERY = timedelta(minutes=10)


class Keeper:
    """`stopping` tells, between a round's days and objects, that the process is asked to end."""

    def __init__(
        self,
        log: CommitLog,
        compactor: Compactor,
        vacuum: Vacuum,
        care: LogCare,
        emit: Emit,
        *,
        retention: timedelta = RETENTION,
        stopping: Callable[[], bool] = lambda: False,
        chance: random.Random | None = None,
    ) -> None:
        self._log = log
        self._compactor = compactor
        self._vacuum = vacuum
        self._care = care
        self._emit = emit
        self._retention = retention
        self._stopping = stopping
        self._chance = chance or random.Random()

    def run(self, wait: Wait, every: timedelta = EVERY) -> None:
        """A round, and another one when `every` has passed, until `wait` is cut short.

        The first comes at a random share of it: keepers that start together do not work on the same days.
        """
        pause = every.total_seconds() * self._chance.random()
        while not wait(pause):
            self.round()
            pause = every.total_seconds()

    def round(self) -> list[Exception]:
        """Does what is due, and answers with what went wrong: each part goes on without the others."""
        failures = []
        for part in (self._compact, self._remove, self._clean):
            try:
                if not self._stopping():
                    part()
            # guarantee: a day that cannot be compacted stops no other care
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round tries again
                self._emit(KeepingFailed(part.__name__.strip("_"), error))
                failures.append(error)
        return failures

    def _compact(self) -> None:
        # Looking would make a table.
        if not self._log.exists():
            return
        failure = None
        for day in self._compactor.due():
            if self._stopping():
                return
            try:
                for _ in self._compactor.run([day]):
                    pass
            except Exception as error:  # noqa: BLE001 - raised below, when the other days are done
                failure = error
        if failure is not None:
            raise failure

    def _remove(self) -> None:
        if not self._log.exists():
            return
        gone = []
        for removable in self._vacuum.removable(self._retention):
            if self._stopping():
                break
            self._vacuum.remove(removable)
            gone.append(removable.size)
        if gone:
            self._emit(LakeKept("objects that no reader needs", len(gone), sum(gone)))

    def _clean(self) -> None:
        gone = []
        for checkpoint in self._care.superseded():
            if self._stopping():
                break
            self._care.remove(checkpoint)
            gone.append(checkpoint.size)
        if gone:
            self._emit(
                LakeKept(
                    "checkpoints that newer ones replaced, and commits that are too old to tell", len(gone), sum(gone)
                )
            )
