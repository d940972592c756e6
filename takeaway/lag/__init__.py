"""`takeaway lag`: how far the applications of a stream are behind, and whether they get on, shard by shard."""

from takeaway.lag.changing import Change, changes
from takeaway.lag.facts import ReaderLag, ShardLag, as_facts, rows
from takeaway.lag.looking import look

__all__ = ["Change", "ReaderLag", "ShardLag", "as_facts", "changes", "look", "rows"]
