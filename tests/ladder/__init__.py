"""A ladder of degradations: does each metric see what it should, and stay where it should be blind?

Here and not in `uniform_core.metrics`: it needs rendered clips, weights made by the golden rule, and nobody scores a
system with it. `PYTHONPATH=tests:tests/parity python -m ladder` prints the table of docs/metrics.md.
"""
