"""A local web page that shows a caption corpus: read only, one process, no build step."""
