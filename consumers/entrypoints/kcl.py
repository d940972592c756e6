"""`python -m consumers.entrypoints.kcl CONSUMER`: what the KCL's daemon runs for each shard."""

import os
import sys

from consumers.assembly import knowing_creation, lease_notes, processors, shard_is_gone
from consumers.engines.kcl import DaemonLine
from consumers.settings import ConsumerSettings
from consumers.specs import reader_named
from foundation.diagnostics import json_lines
from foundation.settings import from_environment


def main() -> None:
    line = DaemonLine.taken()
    spec, settings = reader_named(sys.argv[1]), from_environment(ConsumerSettings, os.environ)
    emit = json_lines(spec.name)
    factory = knowing_creation(processors(spec, settings, os.environ, emit), os.environ, emit)
    is_gone = shard_is_gone(settings.stream, os.environ)
    tell = lease_notes(spec, settings, os.environ, emit).tell
    line.serve(settings.stream, factory, emit, batch_records=settings.batch_records(spec), is_gone=is_gone, tell=tell)


if __name__ == "__main__":
    main()
