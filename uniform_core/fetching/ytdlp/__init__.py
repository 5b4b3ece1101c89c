"""yt-dlp behind a border: a child process of ours that looks at one video and gets it, and may hang or die there.

`tools` finds what it needs, `options` are its words, `failures` what its errors mean, `child` is the process and
`process` the parent's end of it. Only `failures` and `child` import yt-dlp.
"""
