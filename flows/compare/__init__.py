"""Runs beside each other: which are meant, what they have in common, and the page that shows it."""
