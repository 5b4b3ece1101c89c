"""Fetching: from a video that a dataset names to one validated file for each clip of it, politely.

`wanted` says what is asked for, `outcome` what can come of it, `classes` what every failure means and when it is tried
again, `gate` who may ask a host now; `sources` are the places that media come from, each in a file of its own.
"""
