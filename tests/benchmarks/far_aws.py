"""`python -m tests.benchmarks.far_aws ENDPOINT`: the same AWS, as far away as S3 is; prints where, until stdin ends."""

import sys
from collections.abc import Callable

from foundation.clock import uninterrupted_wait
from tests.support.proxy import Answer, Request, proxy

# What a small request takes within a region, more or less.
SECONDS = 0.03


def main(upstream: str) -> None:
    wait = uninterrupted_wait()

    def later(_: Request, forward: Callable[[], Answer]) -> Answer:
        wait(SECONDS)
        return forward()

    with proxy(upstream, later) as url:
        print(url, flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
