"""structlog events and standard library records in one stream of JSON lines."""

from obskit.logs._console import render_console
from obskit.logs._install import (
    Installation,
    get_logger,
    install_logging,
    is_ours,
)
from obskit.logs._json import render_json, text_of
from obskit.logs._pipeline import LEVELS, LogPipeline, RecurringLine
from obskit.logs._records import log_record
from obskit.logs._sink import StandardOutput, is_terminal
from obskit.logs._template import json_text

__all__ = [
    "LEVELS",
    "Installation",
    "LogPipeline",
    "RecurringLine",
    "StandardOutput",
    "get_logger",
    "install_logging",
    "is_ours",
    "is_terminal",
    "json_text",
    "log_record",
    "render_console",
    "render_json",
    "text_of",
]
