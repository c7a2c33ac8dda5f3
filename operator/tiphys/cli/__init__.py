"""The command line: ``tiphys run`` and its relatives. Only arguments and words for people here."""

from tiphys.cli.main import main

__all__ = ["main"]
