"""A timeline as facts for JSON: all places, ids and times in full, and no customer's data. Pure."""

from datetime import UTC, datetime
from typing import Any

from foundation.kinesis import StreamPosition
from takeaway.trace.facts import Looked, Remembered, SetApart
from takeaway.trace.timeline import Happening, Timeline


def as_facts(told: Timeline, now: datetime) -> dict[str, Any]:
    """For programs: all places, ids and times in full."""
    return {
        "order_id": told.order_id,
        "trace_ids": list(told.trace_ids),
        "events": [_happening_facts(one) for one in told.happenings],
        "unreadable": [
            {**_place_facts(one.place), "arrived_at": _iso(one.arrived_at), "why": one.why} for one in told.unreadable
        ],
        "dead_letters": [_letter_facts(one) for one in told.letters],
        "effects_without_event": [_effect_facts(one) for one in told.untold],
        "next": [
            {
                "who": one.actor,
                "owner": one.owner,
                "tells": list(one.tells),
                "because_of": one.because_of,
                "heard": one.heard,
                "due": _iso(one.due),
                "overdue": one.is_overdue(now),
            }
            for one in told.upcoming
        ],
        "ended_by": told.ended_by,
        "lacks_placing": told.lacks_placing,
        "looked": _looked_facts(told.looked),
    }


def _happening_facts(one: Happening) -> dict[str, Any]:
    return {
        "event_type": one.header.event_type,
        "schema_version": one.header.schema_version,
        "event_id": one.header.event_id,
        "occurred_at": _iso(one.header.occurred_at),
        "arrived_at": _iso(one.arrived_at),
        "producer": one.header.producer,
        "cause": one.header.cause,
        "because_of": one.because_of,
        "lacks_cause": one.lacks_cause,
        "traceparent": one.header.traceparent,
        "where": one.whereabouts.value,
        **_place_facts(one.place),
        "before_its_cause": one.before_its_cause,
        "repeats": [
            {**_place_facts(repeat.place), "arrived_at": _iso(repeat.arrived_at), "dropped": repeat.dropped}
            for repeat in one.repeats
        ],
        "dead_letters": [_letter_facts(letter) for letter in one.set_apart],
        "effects": [_effect_facts(effect) for effect in one.remembered],
    }


def _letter_facts(letter: SetApart) -> dict[str, Any]:
    return {
        "consumer": letter.consumer,
        **_place_facts(letter.place),
        "kind": letter.kind,
        "failed_at": _iso(letter.failed_at),
        "attempts": letter.attempts,
        "dropped": letter.dropped,
        "show": letter.shown_by,
    }


def _effect_facts(effect: Remembered) -> dict[str, Any]:
    return {
        "consumer": effect.consumer,
        "heard": effect.heard,
        "tells": effect.told.event_type if effect.told else None,
        "event_id": effect.told.event_id if effect.told else None,
        "channel": effect.channel,
        "message_id": effect.message_id,
        "attempts": effect.attempts.count if effect.attempts else None,
        "last_failure": effect.attempts.last_failure if effect.attempts else None,
    }


def _looked_facts(looked: Looked) -> dict[str, Any]:
    return {
        "lake_version": looked.lake_version,
        "shards": [
            {
                "shard": one.shard_id,
                "up_to_tip": one.up_to_tip,
                "last_arrived_at": _iso(one.last),
                "since": _iso(one.since),
                "since_first": one.since_first,
            }
            for one in looked.shards
        ],
        "dead_letters": looked.letters,
        "dead_letters_unread": looked.letters_unread,
        "not_looked": list(looked.not_looked),
        "whole": looked.is_whole and not looked.not_looked,
    }


def _place_facts(place: StreamPosition | None) -> dict[str, Any]:
    if place is None:
        return {"shard": None, "sequence_number": None, "sub_sequence_number": None}
    return {"shard": place[0], "sequence_number": place[1].number, "sub_sequence_number": place[1].sub}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
