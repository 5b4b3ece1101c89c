"""Fetching: from a video that a dataset names to one validated file for each clip of it, politely.

`wanted` says what is asked for and `outcome` what can come of it. `classes` are the ways to fail, `policies` what
follows from each, `statuses` and `messages` what tells them apart. `gate` is who may ask a host now, `hosts` what it
stands on (a `bucket` and a `breaker` for each). `sources` are the places that media come from, each in a file of its
own; behind them, `ytdlp` is yt-dlp in a process of its own, and `tars` reads archives that nobody vouches for.
"""
