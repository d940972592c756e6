"""The report: questions in SQL, their figures, and one HTML file.

`questions` is imported by its own name, since it loads no figures.
"""

from analytics.report.report import About, AuditStamp, make_report, render_report, report_data

__all__ = ["About", "AuditStamp", "make_report", "render_report", "report_data"]
