"""The process that the KCL's daemon starts for each shard: its standard input and output are the protocol."""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from amazon_kclpy.kcl import KCLProcess

from consumers.engines.kcl.daemon import DAEMON_GRACE_SECONDS
from consumers.engines.kcl.processor import KclProcessor, Tell
from consumers.processing import ProcessorFactory
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import Emit

# How often a wait looks up, to see whether the process was told to stop.
_GLANCE_SECONDS = 0.25


@dataclass(frozen=True)
class DaemonLine:
    """The line to the daemon, and the way to wait without missing its end."""

    hears: BinaryIO
    says: TextIO
    told_to_stop: threading.Event

    @classmethod
    def taken(cls) -> "DaemonLine":
        """Standard input and output, out of everybody's reach: what anything else prints goes to standard error.

        SIGTERM and SIGINT only cut waits short from now on: the daemon is who ends its children, in good order.
        """
        hears, says = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        # guarantee: nothing but the protocol reaches the KCL's daemon
        os.dup2(2, 1)
        told_to_stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told_to_stop.set())
        return cls(os.fdopen(hears, "rb"), os.fdopen(says, "w", encoding="utf-8"), told_to_stop)

    def serve(
        self,
        stream: str,
        factory: ProcessorFactory,
        emit: Emit,
        *,
        batch_records: int,
        is_gone: Callable[[str], bool],
        tell: Tell = lambda *_: None,
    ) -> None:
        """Until the daemon hangs up.

        `is_gone` says whether the stream lists a shard no more; `tell` is told what keeps a shard from getting on.
        """
        processor = KclProcessor(
            stream,
            factory,
            is_gone=is_gone,
            batch_records=batch_records,
            grace_seconds=DAEMON_GRACE_SECONDS,
            clock=SYSTEM_CLOCK,
            wait=self.wait,
            emit=emit,
            tell=tell,
        )
        KCLProcess(processor, self.hears, self.says, sys.stderr).run()

    def wait(self, seconds: float) -> bool:
        """Cut short when told to stop. Exits when the daemon is gone: then there is nobody left to work for."""
        until = SYSTEM_CLOCK.monotonic() + seconds
        while not self.told_to_stop.is_set():
            left = until - SYSTEM_CLOCK.monotonic()
            # The daemon says nothing while it waits for an answer: what can be read meanwhile is its end.
            if select.select([self.hears], [], [], max(0.0, min(left, _GLANCE_SECONDS)))[0]:
                sys.exit("the daemon has ended, and so does its child")
            if left <= 0:
                return False
        return True
