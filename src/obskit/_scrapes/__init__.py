"""What a request for metrics gets, whichever interface it came by."""

from obskit._scrapes._answer import (
    METHODS,
    Answer,
    check_endpoint,
    completed,
    method_not_allowed,
    metrics_answer,
    page_answer,
    read_scrape,
    text_answer,
)
from obskit._scrapes._renderer import Renderer, Scrape, renderer

__all__ = [
    "METHODS",
    "Answer",
    "Renderer",
    "Scrape",
    "check_endpoint",
    "completed",
    "method_not_allowed",
    "metrics_answer",
    "page_answer",
    "read_scrape",
    "renderer",
    "text_answer",
]
