"""Recognises the steps of a lake's commit by their requests, and kills whoever makes the armed one."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import psutil

from analytics.table.offsets import Offsets
from tests.support.proxy import Answer, Behaviour, Request

# In an order in which each leaves behind what the next needs: a claim needs a restart, a fence a batch under way.
STEPS = ("intent", "claim", "put", "fence", "commit", "finalise", "checkpoint")
WHEN = ("before", "after")

Armed = tuple[str, str]


@dataclass
class CommitSteps:
    """For the proxies of several archivers at once: of all their requests, the first of the armed step is the last."""

    armed: Armed | None = None
    kills: Counter[Armed] = field(default_factory=Counter)
    killed: str | None = None
    _seen: dict[str, Offsets] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, name: str, process: Callable[[], psutil.Process | None]) -> Behaviour:
        """How the proxy of the archiver of this name behaves; `process` is its process now, if it lives."""

        def behave(request: Request, forward: Callable[[], Answer]) -> Answer | None:
            with self._lock:
                step = self._step(request)
                when = self.armed[1] if self.armed is not None and self.armed[0] == step else None
                # What a victim had under way arrives when its process, or its number, is another's or nobody's.
                victim = process() if when else None
                if victim is None:
                    when = None
                if when:
                    self.kills[step, when] += 1
                    self.armed = None
                if "/_offsets/" in request.path and request.method == "PUT" and when != "before":
                    self._seen[request.path] = _offsets(request)
            if when is None or victim is None:
                return forward()
            if when == "after":
                forward()
            victim.kill()
            self.killed = name
            return None

        return behave

    def _step(self, request: Request) -> str:
        if request.target.endswith(".UpdateItem") and b"checkpoint" in request.body:
            return "checkpoint"
        if request.method != "PUT":
            return ""
        if "/_offsets/" in request.path:
            return self._offsets_step(request.path, _offsets(request))
        if "/_delta_log/" in request.path:
            return "commit" if b'"add"' in request.body else "fence" if b'"txn"' in request.body else ""
        return "put" if ".parquet" in request.path else ""

    def _offsets_step(self, path: str, offsets: Offsets) -> str:
        """By what it changes of the object as it was last sent on; the answer does not matter."""
        before = self._seen.get(path)
        if before is None or offsets.epoch > before.epoch:
            return "claim"
        if offsets.pending is not None:
            return "intent"
        return "finalise" if offsets.n > before.n else ""


def _offsets(request: Request) -> Offsets:
    return msgspec.json.decode(request.body, type=Offsets)
