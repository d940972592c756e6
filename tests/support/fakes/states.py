"""States of subscribers in memory, with DynamoDB's conditions: versions, transactions, and answers that are lost."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from consumers.steps.answers import Outcome
from consumers.steps.outcomes import Happening, Identified, happening
from consumers.steps.states import Conflict, Stored


@dataclass
class FakeStates:
    """`between` is called with the key after each read: by it a test has another writer come in between."""

    states: dict[str, Stored] = field(default_factory=dict)
    outcomes: dict[Happening, bytes] = field(default_factory=dict)
    between: Callable[[str], None] = lambda _: None
    lost_answers: int = 0
    recalls_nothing: bool = False
    commits: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str) -> Stored:
        with self._lock:
            stored = self.states.get(key, Stored(None, 0))
        self.between(key)
        return stored

    def recall(self, heard: Sequence[Identified]) -> dict[Happening, bytes]:
        if self.recalls_nothing:
            return {}
        return {happening(one): self.outcomes[happening(one)] for one in heard if happening(one) in self.outcomes}

    def commit(self, key: str, version: int, state: bytes, heard: Identified, outcome: Outcome) -> bytes:
        with self._lock:
            name = happening(heard)
            if name in self.outcomes:
                return self.outcomes[name]
            if self.states.get(key, Stored(None, 0)).version != version:
                raise Conflict
            self.states[key] = Stored(state, version + 1)
            self.outcomes[name] = outcome.data
            self.commits += 1
            if self.lost_answers:
                self.lost_answers -= 1
                raise ConnectionError("the answer was lost")
            return outcome.data
