"""Every assertion: what it accepts, and that its failure shows what was emitted instead."""

import asyncio
from collections.abc import Callable

import pytest
from opentelemetry import trace

import obskit
from obskit.testing import Observed
from obskit.testing._listing import listing


@pytest.fixture
def charged(observed: Observed) -> Observed:
    """Two charges, one of which failed."""
    for error in (None, ValueError("declined")):
        try:
            with obskit.observe("charge", labels={"provider": "stripe"}) as operation:
                operation.set(order=7)
                operation.event("retried", count=2)
                obskit.get_logger("app").info("charging", order=7, tags=["a"])
                if error:
                    raise error
        except ValueError:
            pass
    return observed


def test_operations_that_hold(charged: Observed) -> None:
    charge = charged.operation("charge")
    charge.times(2).with_labels(provider="stripe").times(2).with_attributes(order=7).times(2)
    charge.with_outcome("ok").once().with_event("retried", count=2).with_event("retried")
    charge.with_outcome("error").once().with_error("ValueError")
    charged.operation("other").never()


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda o: o.operation("charge").once(), "operation 'charge' ended 2 times, not 1"),
        (lambda o: o.operation("charge").never(), "operation 'charge' ended 2 times, not 0"),
        (lambda o: o.operation("charg").once(), "operation 'charg' ended 0 times, not 1"),
        (lambda o: o.operation("charge").with_outcome("closed"), "with outcome 'closed'"),
        (lambda o: o.operation("charge").with_error("KeyError"), "with error 'KeyError'"),
        (lambda o: o.operation("charge").with_labels(x="y"), "with labels {'x': 'y'}"),
        (lambda o: o.operation("charge").with_attributes(order=8), "attributes {'order': 8}"),
        (lambda o: o.operation("charge").with_event("gone"), "with event 'gone' {}"),
        (lambda o: o.operation("charge").with_event("retried", count=3), "{'count': 3}"),
    ],
)
def test_operations_that_do_not_hold(
    charged: Observed, check: Callable[[Observed], object], message: str
) -> None:
    with pytest.raises(AssertionError) as raised:
        check(charged)
    text = str(raised.value)
    assert message in text
    assert "operations that have ended:\n" in text
    assert "  charge outcome=ok labels={'provider': 'stripe'} attributes={'order': 7}" in text
    assert "  charge outcome=error error_type=ValueError" in text


def test_names_of_any_kind_can_be_asked_for(observed: Observed) -> None:
    with obskit.observe("work") as operation:
        operation.set(count=1, name="n")
        operation.event("seen", at="now")
        obskit.get_logger("app").info("line", self=1, name="n")
    observed.operation("work").with_attributes(count=1, name="n").with_event("seen", at="now")
    observed.logs.one(self=1, name="n")


def test_lines_that_hold(charged: Observed) -> None:
    assert len(charged.logs.all(event="charging")) == 2
    assert len(charged.logs.all(event="charging", tags=["a"], order=7)) == 2
    assert charged.logs.one(event="operation failed")["error_type"] == "ValueError"
    charged.logs.none(event="charging", order=8)
    charged.logs.none(no_such_field=None)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda o: o.logs.one(event="charging"), "2 log lines, not 1, have {'event': 'charging'}"),
        (lambda o: o.logs.one(event="x"), "0 log lines, not 1, have {'event': 'x'}"),
        (lambda o: o.logs.none(order=7), "log lines, not 0, have {'order': 7}"),
    ],
)
def test_lines_that_do_not_hold(
    charged: Observed, check: Callable[[Observed], object], message: str
) -> None:
    with pytest.raises(AssertionError) as raised:
        check(charged)
    assert message in str(raised.value)
    assert "log lines:\n" in str(raised.value)
    assert '"event": "charging"' in str(raised.value)


def test_spans_that_hold(observed: Observed) -> None:
    with obskit.observe("a"):
        for _ in range(2):
            with obskit.observe("b"), obskit.observe("c"):
                pass
        with obskit.observe("d"):
            pass
    with obskit.observe("e"):
        pass
    assert observed.spans.tree() == {"a": {"b": {"c": {}}, "d": {}}, "e": {}}
    assert len(observed.spans.all()) == 7
    assert [span.name for span in observed.spans.all("b")] == ["b", "b"]
    assert observed.spans.one("a").parent is None


def test_a_span_whose_parent_is_elsewhere_is_a_root(observed: Observed) -> None:
    with obskit.extract({"traceparent": f"00-{1:032x}-{2:016x}-01"}), obskit.observe("far"):
        pass
    assert observed.spans.tree() == {"far": {}}
    assert observed.spans.one("far").parent is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [("charge", "2 spans, not 1, are called 'charge'"), ("x", "0 spans, not 1, are called 'x'")],
)
def test_spans_that_do_not_hold(charged: Observed, name: str, message: str) -> None:
    with pytest.raises(AssertionError) as raised:
        charged.spans.one(name)
    assert f"{message}\nspans:\n  charge\n  charge" in str(raised.value)


def test_metrics_that_hold(charged: Observed) -> None:
    metrics = charged.metrics
    assert metrics.delta("operations_total") == 2
    assert metrics.delta("operations_total", operation="charge", outcome="ok") == 1
    assert metrics.delta("operations_total", operation="other") == 0
    assert metrics.value("operations_total", operation="charge") == 2
    assert metrics.value("no_such_metric") == 0
    changes = "\n".join(metrics.changes())
    assert (
        "operations_total{error_type='', operation='charge', outcome='ok', provider='stripe'} +1"
        in changes
    )
    assert "_created" not in changes
    assert ("operations_total", 1.0) in [(name, change) for name, _, change in metrics.moved()]


def test_a_metric_that_does_not_exist_is_no_zero(charged: Observed) -> None:
    with pytest.raises(AssertionError) as raised:
        charged.metrics.delta("operation_total")
    assert "no metric has a sample called 'operation_total'" in str(raised.value)
    assert "samples that have changed:\n" in str(raised.value)
    assert "  operations_total{" in str(raised.value)


def test_nothing_was_emitted(observed: Observed) -> None:
    with pytest.raises(AssertionError, match="operations that have ended: none"):
        observed.operation("x").once()
    with pytest.raises(AssertionError, match="log lines: none"):
        observed.logs.one()
    with pytest.raises(AssertionError, match="spans: none"):
        observed.spans.one("x")


def test_long_listings_show_the_end() -> None:
    lines = listing("things", range(100)).splitlines()
    assert lines[1] == "things:"
    assert lines[2] == "  … 60 earlier ones"
    assert lines[3:] == [f"  {number}" for number in range(60, 100)]


def test_tasks_of_asyncio_are_seen(observed: Observed) -> None:
    @obskit.observe("task")
    async def work() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        with obskit.observe("all"):
            await asyncio.gather(*(work() for _ in range(10)))

    asyncio.run(main())
    observed.operation("task").times(10)
    assert observed.spans.tree() == {"all": {"task": {}}}
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_misspelt_label_is_not_0(charged: Observed) -> None:
    for read in (charged.metrics.delta, charged.metrics.value):
        with pytest.raises(AssertionError, match=r"no sample of .* has a label 'operatoin'"):
            read("operations_total", operatoin="charge")
    with pytest.raises(AssertionError, match="did you mean 'operations_total'"):
        charged.metrics.delta("operation_total")


def test_a_comparison_that_fails_shows_what_has_changed(charged: Observed) -> None:
    assert "operations_total{" in repr(charged.metrics)
    assert "_bucket{" not in repr(charged.metrics)


def test_a_word_that_is_no_outcome_is_told_so(charged: Observed) -> None:
    with pytest.raises(AssertionError, match="there are ok, error, cancelled, closed"):
        charged.operation("charge").with_outcome("success")


def test_an_error_may_be_given_as_its_class(charged: Observed) -> None:
    charged.operation("charge").with_error(ValueError).once()


def test_a_message_says_what_has_been_asserted_before(charged: Observed) -> None:
    with pytest.raises(AssertionError, match=r"'charge' with outcome 'ok' with labels {'x': 'y'}"):
        charged.operation("charge").with_outcome("ok").with_labels(x="y")
