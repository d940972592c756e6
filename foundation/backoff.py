"""How long an engine waits before it tries again."""

_LONGEST_PAUSE = 30.0


def pause_after(failures: int, first: float = 1.0) -> float:
    """How long to wait after so many failures in a row: doubled each time, half a minute at most."""
    return min(_LONGEST_PAUSE, first * 2.0 ** min(failures - 1, 16))
