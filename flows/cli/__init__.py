"""The command line `uniform`. Quick commands import neither prefect, ray nor torch."""

from flows.cli.main import main as main
