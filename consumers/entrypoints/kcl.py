"""`python -m consumers.entrypoints.kcl CONSUMER`: what the KCL's daemon runs for each shard."""

import os
import sys

from consumers.assembly import lease_notes, processors
from consumers.engines.kcl import DaemonLine
from consumers.settings import ConsumerSettings
from consumers.specs import named
from foundation.diagnostics import json_lines
from foundation.settings import from_environment


def main() -> None:
    line = DaemonLine.taken()
    spec, settings = named(sys.argv[1]), from_environment(ConsumerSettings, os.environ)
    emit = json_lines(spec.name)
    factory = processors(spec, settings, os.environ, emit)
    tell = lease_notes(spec, settings, os.environ, emit).tell
    line.serve(settings.stream, factory, emit, batch_records=settings.batch_records(spec), tell=tell)


if __name__ == "__main__":
    main()
