"""Writes the HTML report of what is in the lake, and its numbers as JSON beside it."""

import json
from collections.abc import Mapping
from pathlib import Path

from foundation.clock import SYSTEM_CLOCK
from takeaway.audit.verdict import Audit
from takeaway.terminal import write


def write_report(environ: Mapping[str, str], out: Path, verdict: Audit | None) -> Path:
    """Reads the lake of these settings; stamps the report with the audit's verdict when there is one."""
    from analytics.lake import Lake
    from analytics.reading import NEEDED_COLUMNS
    from analytics.report import About, AuditStamp, make_report, render_report, report_data

    lake = Lake.from_environment(environ)
    stamp = AuditStamp(receipt=verdict.receipt, ok=verdict.ok) if verdict else None
    about = About(made_at=SYSTEM_CLOCK.now(), lake_version=lake.version, audit=stamp)
    made = make_report(lake.dataset().to_table(columns=list(NEEDED_COLUMNS)), about)
    write(out, render_report(made))
    write(out.with_suffix(".json"), json.dumps(report_data(made), indent=2))
    return out
