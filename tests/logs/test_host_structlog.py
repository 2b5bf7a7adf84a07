"""A host that configures structlog after obskit: in part, and its own way."""

import json
import logging
from collections.abc import Generator
from typing import Any

import pytest
import structlog

import obskit

RENDERING = [structlog.processors.add_log_level, structlog.processors.JSONRenderer()]


@pytest.fixture(autouse=True)
def _configured(request: pytest.FixtureRequest) -> Generator[None]:
    with obskit.configure(service="shop", logging="own", log_format="json"):
        yield
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "options",
    [
        {"processors": RENDERING},
        {"processors": RENDERING[:-1]},
        {
            "processors": RENDERING,
            "wrapper_class": structlog.make_filtering_bound_logger(logging.INFO),
        },
        {"wrapper_class": structlog.make_filtering_bound_logger(logging.INFO)},
        {"cache_logger_on_first_use": False},
        {"wrapper_class": structlog.BoundLogger},
    ],
    ids=str,
)
def test_no_line_is_lost_and_none_raises(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.configure(**options)
    structlog.get_logger("theirs").info("first", number=1)
    structlog.get_logger("theirs").error("second", exc_info=ValueError("x"))
    obskit.get_logger("ours").warning("third")
    written = lines(capsys)
    assert [line["logger"] for line in written] == ["theirs", "theirs", "ours"]
    assert [line["level"] for line in written] == ["info", "error", "warning"]
    for line, word in zip(written, ("first", "second", "third"), strict=True):
        assert word in line["event"]
        assert line["service"] == "shop"


def test_a_bytes_renderer_s_line_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.configure(processors=[lambda *_: b"rendered"])
    structlog.get_logger("theirs").info("first")
    (line,) = lines(capsys)
    assert line["event"] == "rendered"
