"""The command ``obskit``."""

from obskit.cli._main import main

__all__ = ["main"]
