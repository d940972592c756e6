"""Two processes, a forgetting and readers, in any order of their calls: what may be read, and what must be readable."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.privacy import customer_keys, pages
from analytics.privacy.customer_keys import CustomerKeys
from analytics.privacy.pages import KeyObjects
from foundation.bucket import Bucket
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.turns import Turns
from tests.support.worlds.lake_world import Crash

pytestmark = pytest.mark.slow

PROMISE = 60.0


@dataclass
class Sealed:
    """A token, when it was made, and whether a reader may see it."""

    customer: str
    token: str
    step: int
    at: float
    is_shown: bool = False


@dataclass
class Forgetting:
    customer: str
    began: int
    ended: float | None = None
    is_done: bool = False


@dataclass
class Scene:
    """All that happened. `step` counts every call of anything and every token."""

    bucket: FakeBucket = field(default_factory=lambda: FakeBucket("customer-keys"))
    clock: FakeClock = field(default_factory=FakeClock)
    sealed: list[Sealed] = field(default_factory=list)
    forgettings: list[Forgetting] = field(default_factory=list)
    step: int = 0

    def objects(self, gate: Any) -> KeyObjects:
        return KeyObjects(Bucket(self.bucket.through(gate), self.bucket.name), self.clock.clock)

    def process(self, gate: Any, script: list[str]) -> None:
        """Each word seals for a customer, or shows all, or lets time pass."""
        keys = CustomerKeys(self.objects(gate), clock=self.clock.clock)
        mine: list[Sealed] = []
        for word in [*script, "save"]:
            if word == "save":
                upto = len(mine)
                keys.save()
                for one in mine[:upto]:
                    one.is_shown = True
            elif word == "later":
                self.clock.advance(PROMISE / 2 + 1)
            else:
                # What is sealed was read by now.
                at = self.clock.monotonic()
                token = keys.token(word, "text")
                self.step += 1
                mine.append(Sealed(word, token, self.step, at))
                self.sealed.append(mine[-1])

    def forgets(self, gate: Any, customers: list[str]) -> None:
        for customer in customers:
            self.step += 1
            this = Forgetting(customer, self.step)
            self.forgettings.append(this)
            try:
                self.objects(gate).forget([customer])
                this.is_done = True
            finally:
                this.ended = self.clock.monotonic()

    def check(self) -> None:
        """Holds at every moment."""
        self.step += 1
        objects = KeyObjects(Bucket(self.bucket.client, self.bucket.name))
        for one in self.sealed:
            if not one.is_shown:
                continue
            text = objects.texts([one.token])[one.token]
            about = [forgetting for forgetting in self.forgettings if forgetting.customer == one.customer]
            if any(forgetting.is_done and one.step < forgetting.began for forgetting in about):
                assert text is None, f"{one} is readable, though forgotten"
            if all(forgetting.ended is not None and one.at >= forgetting.ended + PROMISE for forgetting in about):
                assert text == "text", f"{one} is unreadable, though not forgotten"


words = st.lists(st.sampled_from(["ada", "ada", "bob", "cid", "save", "later"]), min_size=2, max_size=8)


def turns_of(seed: int) -> list[int]:
    """Who goes on, for a few calls each: turn by turn nearly nobody would come to an end before another goes on."""
    chance = random.Random(seed)
    return [one for _ in range(12) for one in [chance.randrange(3)] * chance.randint(1, 8)]


@given(
    scripts=st.tuples(words, words),
    forgotten=st.lists(st.sampled_from(["ada", "ada", "bob"]), min_size=1, max_size=3),
    seed=st.integers(0, 1 << 32),
    dies=st.tuples(st.sampled_from(["a", "forget", "nobody", "nobody"]), st.integers(1, 12)),
    full=st.sampled_from([2, 1000]),
)
def test_the_forgotten_are_unreadable_and_nobody_else_in_every_interleaving(
    scripts: tuple[list[str], list[str]], forgotten: list[str], seed: int, dies: tuple[str, int], full: int
) -> None:
    scene, turns = Scene(), Turns(turns_of(seed))
    gates = {name: turns.gate(name) for name in ("a", "b", "forget")}
    who, at_call = dies

    def die(number: int) -> None:
        if number == at_call:
            raise Crash

    if who in gates:
        gates[who].dies = die

    def quietly(work: Any, *arguments: Any) -> Any:
        def run() -> None:
            try:
                work(*arguments)
            except Crash:
                pass
            except BaseException as error:  # noqa: BLE001 - told by the test's own thread
                errors.append(error)

        return run

    errors: list[BaseException] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pages, "_AT_ONCE", 1)
        patched.setattr(customer_keys, "FULL_PAGE", full)
        turns.run(
            {
                "a": quietly(scene.process, gates["a"], scripts[0]),
                "b": quietly(scene.process, gates["b"], scripts[1]),
                "forget": quietly(scene.forgets, gates["forget"], forgotten),
            },
            scene.check,
        )
    assert errors == []
    scene.check()
