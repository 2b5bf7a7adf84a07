"""Lines that are filled in are the lines that would have been rendered."""

import io
import json
from contextlib import redirect_stdout
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import obskit
from obskit._guard import guard
from obskit.logs import LogPipeline, RecurringLine, json_text
from obskit.runtime import active_runtime

NAMES = ("what", "size", "share")


def pipeline(**settings: Any) -> LogPipeline:
    obskit.configure(**{"service": '50% "shop"', "log_format": "json", **settings})
    logs = active_runtime().logs
    assert logs is not None
    return logs


def recurring(logs: LogPipeline) -> RecurringLine:
    line = logs.recurring("info", "it %s again", "app", NAMES)
    assert line is not None
    return line


@given(
    what=st.text(max_size=40),
    size=st.integers(-(2**62), 2**62),
    share=st.floats(allow_nan=False, allow_infinity=False),
)
def test_it_is_the_line_that_would_be_rendered(what: str, size: int, share: float) -> None:
    text = json_text(what)
    if text is None:
        assert not (what.isascii() and what.isprintable()) or set(what) & set('"\\')
        return
    out = io.StringIO()
    logs = pipeline()
    with redirect_stdout(out), obskit.bound(correlation_id="abc"):
        recurring(logs).write("abc", None, (text, size, share))
        logs.emit("info", "it %s again", "app", dict(zip(NAMES, (what, size, share), strict=True)))
    filled, rendered = (json.loads(line) for line in out.getvalue().splitlines())
    assert filled.pop("timestamp")
    assert rendered.pop("timestamp")
    assert list(filled.items()) == list(rendered.items())


def test_a_text_that_is_too_long_is_not_filled_in() -> None:
    assert json_text("a" * 4097) is None


@pytest.mark.parametrize("settings", [{"log_format": "console"}, {"log_level": "warning"}])
def test_there_is_none_where_lines_are_no_json_or_not_written(settings: dict[str, Any]) -> None:
    assert pipeline(**settings).recurring("info", "again", "app", NAMES) is None


def test_a_name_with_a_fixed_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be a template"):
        pipeline().recurring("info", "again", "app", ("timestamp",))


def test_a_line_that_cannot_be_written_is_counted() -> None:
    line = recurring(pipeline())
    closed = io.StringIO()
    closed.close()
    with redirect_stdout(closed), guard.recording() as faults:
        line.write("abc", None, ('"a"', 1, 2.0))
    assert [site for site, _ in faults] == ["logs.write"]
