"""Writes the HTML report of what is in the lake, and its numbers as JSON beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.clock import SYSTEM_CLOCK
from takeaway.audit.verdict import Audit
from takeaway.terminal import counted, write

if TYPE_CHECKING:
    from analytics.reading import Window
    from analytics.report import Stamp


def write_report(
    environ: Mapping[str, str],
    out: Path,
    verdict: Audit | None,
    window: "Window | None" = None,
    *,
    proven: bool = False,
) -> Path:
    """Reads the lake of these settings, all of it without a window.

    Stamps the report with the audit's verdict when there is one, and with a proof of the lake when it is to be proven.
    """
    from analytics.lake import Lake
    from analytics.reading import ALWAYS
    from analytics.report import About, Stamp, make_report, render_report, report_data

    lake = Lake.from_environment(environ)
    about = About(
        made_at=SYSTEM_CLOCK.now(),
        window=window or ALWAYS,
        lake_version=lake.version,
        audit=Stamp(receipt=verdict.receipt, ok=verdict.ok) if verdict else None,
        proof=_proof(environ) if proven else None,
    )
    made = make_report(lake.dataset(), about, lake.repeats)
    write(out, render_report(made))
    write(out.with_suffix(".json"), json.dumps(report_data(made), indent=2))
    return out


def _proof(environ: Mapping[str, str]) -> "Stamp":
    from analytics.assembly import bucket_and_log
    from analytics.report import Stamp
    from analytics.verification import verify

    verified = verify(*bucket_and_log(environ))
    counts = verified.counts
    receipt = (
        f"{counted(counts.get('rows', 0), 'row')} in {counted(counts.get('files', 0), 'file')}, looked at one by one"
    )
    if removed := counts.get("duplicates_removed"):
        receipt += f" · {counted(removed, 'duplicate')} removed"
    if not verified.ok:
        first = verified.findings[0]
        receipt += f" · {counted(len(verified.findings), 'finding')}, as {first.kind.label}: {first.what}"
    return Stamp(receipt=receipt, ok=verified.ok)
