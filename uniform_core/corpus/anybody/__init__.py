"""Anybody's clips: which files there are, which belong together, which numbers are asked of them."""
