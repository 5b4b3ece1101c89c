"""Tar archives that others made, read as streams and never trusted: `gzips` survives damage, `blocks` reads headers,
`listing` is what an archive has, written down once.
"""
