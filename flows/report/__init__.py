"""The report of a run: one HTML file with its clips, its losses, its scores, and what they stand on."""

from flows.report.write import write_report as write_report
