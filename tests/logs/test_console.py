"""Lines for people."""

from typing import Any

import pytest

from obskit.logs import render_console

BASE = {"timestamp": "2026-01-01T00:00:00.000000Z", "level": "info", "logger": "app"}


def shown(**fields: Any) -> str:
    return render_console({**BASE, "event": "hello", **fields}).decode()


def test_what_never_changes_is_left_out() -> None:
    text = shown(service="s", environment="e", version="v", trace_id="t", span_id="i", order=7)
    assert "hello" in text
    assert "order" in text
    for name in ("service", "environment", "version", "trace_id", "span_id"):
        assert name not in text


def test_a_traceback_is_below_the_line() -> None:
    first, *rest = shown(exception="Traceback\nZeroDivisionError").splitlines()
    assert "hello" in first
    assert "ZeroDivisionError" in "\n".join(rest)


class Raising:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "value",
    [Raising(), 10**5000, b"\xff", {1: {Raising(): 1}}, "\ud800"],
    ids=["raising", "huge", "bytes", "nested", "surrogate"],
)
def test_any_value_has_a_place(value: Any) -> None:
    assert "value" in shown(value=value)


@pytest.mark.parametrize("text", ["a\nb", "a\u2028b", "\x1b[2Jgone", "a\rb"], ids=ascii)
def test_control_characters_are_shown_rather_than_obeyed(text: str) -> None:
    """Whoever can choose a value cannot forge a line, nor clear the screen."""
    for fields in ({"event": text}, {"logger": text}, {text: 1}, {"value": text}):
        line = shown(**fields)
        assert len(line.splitlines()) == 1
        assert text not in line


def test_an_event_that_is_no_text() -> None:
    assert "{'a': 1}" in shown(event={"a": 1})
