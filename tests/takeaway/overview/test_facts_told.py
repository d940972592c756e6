"""The overview as JSON."""

import json

from takeaway.overview.facts import Unknown
from takeaway.overview.facts_told import as_facts
from tests.takeaway.overview.an_overview import ORDER, a_consumer, an_overview, frozen_notifier


def test_a_frozen_consumer_is_told_with_lag_oldest_order_and_owner() -> None:
    told = json.loads(json.dumps(as_facts(an_overview(consumers=(frozen_notifier(), a_consumer("archiver"))))))
    assert told["ok"] is False
    assert told["problems"] == ["user_notifier (pid 4242) is frozen: 73 records unread, the oldest for 29 s"]
    [frozen, _] = told["consumers"]
    assert frozen["verdict"] == "stopped"
    assert (frozen["lag"]["records"], frozen["lag"]["at_least"]) == (73, False)
    assert frozen["lag"]["oldest"] == {"order_id": ORDER, "event_type": "order_accepted", "seconds": 29.0}
    assert frozen["owners"] == ["worker-0123456789ab"]
    assert frozen["process"]["frozen"] is True
    assert frozen["dead_letters"] == {"user_notifier": 0}


def test_what_is_unknown_is_told_with_its_reason() -> None:
    told = as_facts(an_overview(shards=Unknown("away"), letters=Unknown("away")))
    assert told["shards"] == {"unknown": "away"}
    assert told["consumers"][0]["dead_letters"] == {"restaurant_notifier": None}
    assert as_facts(an_overview())["shards"][0]["hot"] is False
