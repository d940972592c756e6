"""`python -m consumers.entrypoints.kcl CONSUMER`: what the KCL's daemon runs for each shard."""

import os
import sys

from consumers.assembly import CONSUMERS
from consumers.engines.kcl.child import DaemonLine
from consumers.settings import ConsumerSettings
from foundation.diagnostics import json_lines
from foundation.settings import from_environment


def main() -> None:
    line = DaemonLine.taken()
    consumer = sys.argv[1]
    settings = from_environment(ConsumerSettings, os.environ)
    emit = json_lines(consumer)
    factory = CONSUMERS[consumer](settings, os.environ, emit)
    line.serve(settings.stream, factory, emit, batch_records=settings.batch_records(consumer))


if __name__ == "__main__":
    main()
