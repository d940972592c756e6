"""How far consumers are with the shards of a stream, and whether they get on: facts of one look, and their judge.

Reads any lease table in the KCL's format. `takeaway doctor` reads this room, and so may whatever else shows a consumer.
"""

from takeaway.standing.applications import (
    RENEWALS,
    Application,
    foreign_application,
    own_application,
)
from takeaway.standing.collector import LOOK_SECONDS, Collector, Reader, SeenReader
from takeaway.standing.judge import Judgement, Verdict, judged
from takeaway.standing.lease_standing import standing_of, timed, waits_for
from takeaway.standing.logs import LoggedTrouble, logged_trouble
from takeaway.standing.shard_standing import ShardStanding
from takeaway.standing.stream_end import Ahead

__all__ = [
    "LOOK_SECONDS",
    "RENEWALS",
    "Ahead",
    "Application",
    "Collector",
    "Judgement",
    "LoggedTrouble",
    "Reader",
    "SeenReader",
    "ShardStanding",
    "Verdict",
    "foreign_application",
    "judged",
    "logged_trouble",
    "own_application",
    "standing_of",
    "timed",
    "waits_for",
]
