"""The report of a run: one HTML file with its clips, its losses, its scores, and what they stand on."""
