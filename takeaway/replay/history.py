"""Runs a replay: asks how far the lake is, opens it, gives it to the consumer, and writes the places down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TypeVar

from analytics.assembly import bucket_and_log, customer_keys, lake_names
from analytics.lake import Lake, NoLake
from analytics.past import Past
from analytics.table import ShardPaths, read_offsets
from consumers.assembly import dead_letters, lease_table, replay_processors
from consumers.replay import ReplayBegun, Replayed, ReplayWaits, is_first_day, replay, write_places
from consumers.settings import ConsumerSettings
from consumers.specs import LAKE_FILLERS, Beginning, ConsumerSpec
from events import TRACKER
from foundation import aws
from foundation.backoff import pause_after
from foundation.clock import Wait
from foundation.diagnostics import Emit
from foundation.kinesis import SequenceNumber, Shard, creation_of, listed_shards
from foundation.settings import from_environment
from producers.assembly import tracked_orders
from takeaway.errors import UserError
from takeaway.stack import lake_told_in_one_line, require_log

_T = TypeVar("_T")


@dataclass(frozen=True)
class Replay:
    """What was given, and what the lake lacks; `cut_short`: it was told to stop before all was done."""

    version: int | None
    events: int
    texts_missing: int = 0
    newer: int = 0
    letters: int = 0
    cut_short: bool = False


def begin_with_history(spec: ConsumerSpec, environ: Mapping[str, str], emit: Emit, wait: Wait) -> bool:
    """On the first day of a consumer that begins with history: the replay, then its places as checkpoints.

    What fails on the way is told and waited out, as the worker does with what comes after it. False when it was cut
    short: then it begins anew the next time. Killed at any moment, too.
    """
    settings = from_environment(ConsumerSettings, environ)
    if spec.begins is not Beginning.HISTORY or settings.start is not None:
        return True
    table = lease_table(spec, settings, environ)

    def given() -> Callable[[], object] | None:
        """Writes the places down; None where the replay was cut short."""
        if not is_first_day(table, wait):
            return _nothing
        kinesis = aws.client("kinesis", environ)
        shards = listed_shards(kinesis, settings.stream)
        creation = creation_of(kinesis, settings.stream)
        places = _places(environ, settings.stream, shards)
        done = replayed(spec, environ, emit, wait)
        if done.cut_short:
            return None
        # Without a lake the stream has all that there is.
        return _nothing if done.version is None else lambda: write_places(table, shards, places, creation)

    tried = partial(_until_it_works, spec.name, wait=wait, emit=emit)
    written_down = tried(given)
    # guarantee: a consumer reads the stream once its history is done
    return written_down is not None and tried(written_down) is not None


def _until_it_works(consumer: str, call: Callable[[], _T | None], *, wait: Wait, emit: Emit) -> _T | None:
    """Its answer; None also when the wait was cut short before there was one."""
    for failures in count(1):
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever it is, a restart would meet it again
            # guarantee: a consumer that begins with history outlasts an AWS that goes away
            pause = pause_after(failures)
            emit(ReplayWaits(consumer, error, pause))
            if wait(pause):
                break
    return None


def _nothing() -> bool:
    return True


def replayed(spec: ConsumerSpec, environ: Mapping[str, str], emit: Emit, wait: Wait) -> Replay:
    """Gives the consumer all that the lake has. Raises `UserError` for one whose effects would all happen at once."""
    if spec.fills_lake or (spec.listens_to and spec.begins is not Beginning.HISTORY):
        raise UserError(
            f"{spec.name} is not given history: what it does would be done for all of it at once",
            "replay a consumer that keeps a state or looks on; its spec says `begins=Beginning.HISTORY`",
        )
    settings = from_environment(ConsumerSettings, environ)
    keys = customer_keys(environ)
    with lake_told_in_one_line(environ):
        try:
            lake = Lake.from_environment(environ)
        except NoLake:
            # guarantee: a lake whose log is gone is not taken for none by a replay
            require_log(environ)
            return Replay(None, 0)
        past = Past(lake, spec.listens_to or None, keys.objects.texts)
        emit(ReplayBegun(spec.name, past.version))
        if spec.name == TRACKER:
            # What cannot be read is made anew with the rest.
            tracked_orders(environ).remove_unreadable()
        factory = replay_processors(spec, settings, environ, emit)
        events = replay(past, factory, settings.stream, wait=wait, emit=emit)
    letters = dead_letters(environ, settings, keys)
    waiting = sum(len(letters.keys(f"{filler}/")) for filler in LAKE_FILLERS)
    if events is None:
        return Replay(past.version, 0, past.lacks.texts, past.lacks.newer, waiting, cut_short=True)
    emit(Replayed(spec.name, past.version, events, past.lacks.texts, past.lacks.newer, waiting))
    return Replay(past.version, events, past.lacks.texts, past.lacks.newer, waiting)


def _places(environ: Mapping[str, str], stream: str, shards: list[Shard]) -> dict[str, SequenceNumber]:
    """By shard id, the last place that the lake accounts for: asked before the lake is opened, which then has it."""
    bucket, _ = bucket_and_log(environ)
    name_of = lake_names(environ, stream)
    with lake_told_in_one_line(environ):
        held = {
            shard.shard_id: read_offsets(bucket, ShardPaths(stream, name_of(shard.shard_id)).offsets_key)
            for shard in shards
        }
    return {name: one.offsets.hi for name, one in held.items() if one is not None and one.offsets.hi is not None}
