"""How long to wait before something that failed is tried again."""


def pause_after(failures: int, *, first: float = 1.0, longest: float = 30.0) -> float:
    """Seconds to wait after so many failures in a row: `first` after one, then doubled each time, up to `longest`."""
    return min(longest, first * 2.0 ** min(failures - 1, 16))
