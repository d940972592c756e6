"""The report: questions in SQL, their figures, and one HTML file.

`questions` is imported by its own name, since it loads no figures.
"""

from analytics.report.data import report_data
from analytics.report.page import render_report
from analytics.report.period import asked_period
from analytics.report.report import About, Report, Stamp, make_report

__all__ = ["About", "Report", "Stamp", "asked_period", "make_report", "render_report", "report_data"]
