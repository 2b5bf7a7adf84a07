"""What the worker emits, asked for with the fixture ``observed``."""

import asyncio
from typing import TYPE_CHECKING

from .app import BATCH, Message, Order, handle, lines, main, work_off

if TYPE_CHECKING:
    import pytest

    from obskit.testing import Observed


def test_a_good_message_is_counted_and_logged(observed: "Observed") -> None:
    asyncio.run(handle(Message(Order(7, "EUR", (1999, 499)))))

    observed.operation("job").once().with_outcome("ok").with_labels(kind="invoice")
    observed.operation("invoice.send").once().with_labels(currency="EUR")
    assert observed.metrics.delta("invoices_total", currency="EUR") == 1
    assert observed.logs.one(event="invoice sent")["order_id"] == 7


def test_the_spans_of_a_message_are_one_tree(observed: "Observed") -> None:
    asyncio.run(handle(Message(Order(7, "EUR", (1999,)))))

    assert observed.spans.tree() == {
        "job": {"invoice.render": {"invoice.lines": {}}, "invoice.send": {}}
    }


def test_every_line_carries_the_id_of_the_message(observed: "Observed") -> None:
    asyncio.run(handle(Message(Order(7, "EUR", (1999,)), headers={"X-Request-ID": "shop-1"})))

    assert {line["correlation_id"] for line in observed.logs.all()} == {"shop-1"}


def test_an_empty_order_fails_and_says_so_once(observed: "Observed") -> None:
    assert asyncio.run(work_off((Message(Order(8, "USD", ())),))) == 1

    observed.operation("job").once().with_error("NothingToBillError").with_attributes(order_id=8)
    assert observed.logs.one(level="error")["operation"] == "invoice.send"
    assert observed.metrics.delta("operations_total", operation="job", outcome="error") == 1


def test_a_consumer_may_drop_the_lines_early(observed: "Observed") -> None:
    order = Order(9, "EUR", (100, 200))
    for line in lines(order):
        assert line == "  1     1.00 EUR"
        break

    observed.operation("invoice.lines").once().with_outcome("closed").with_attributes(order_id=9)


def test_the_program_works_off_its_batch_and_prints_the_counters(
    observed: "Observed", capsys: "pytest.CaptureFixture[str]"
) -> None:
    main()

    observed.operation("job").times(len(BATCH))
    assert observed.logs.one(event="batch done")["failed"] == 1
    slow = observed.logs.all(event="operation slow")  # on a busy machine all are
    assert {line["operation"] for line in slow} == {"invoice.render"}
    assert 'invoices_total{currency="EUR"}' in capsys.readouterr().out
