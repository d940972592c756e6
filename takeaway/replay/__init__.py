"""History for consumers that begin with it: the lake's version, through their processors, then its places."""

from takeaway.replay.history import Replay, begin_with_history, replayed

__all__ = ["Replay", "begin_with_history", "replayed"]
