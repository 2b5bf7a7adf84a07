"""A wrong declaration fails where it is made, and says what is wrong and what to do."""

import functools
from typing import Any

import pytest

import obskit
from obskit import MetricNames, arg
from obskit.errors import DeclarationError, InvalidNameError, LabelError, ObskitError
from obskit.testing import Observed


def work(order: Any) -> None: ...


def predicate(result: Any, error: BaseException | None) -> None: ...


class Unhashable:
    __hash__ = None  # type: ignore[assignment] # the point of it

    def __call__(self, result: Any, error: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (type("Cart", (), {}), "observe: Cart is a class: use obskit.observe_methods"),
        (42, "observe: 42 cannot be called: give a name (a text), or decorate a function"),
    ],
)
def test_what_cannot_be_decorated(function: Any, message: str) -> None:
    decorators: list[Any] = [obskit.observe, obskit.observe("name")]
    for observe in decorators:
        with pytest.raises(DeclarationError) as caught:
            observe(function)
        assert message in str(caught.value)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 201])
def test_a_bad_name(name: str) -> None:
    with pytest.raises(DeclarationError, match="give a fixed text of 1 to 200 printable") as caught:
        obskit.observe(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("label", ["user-id", "1st", "", "__name", "é"])
def test_a_bad_label_name(label: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        obskit.observe("work", labels={label: "x"})
    assert repr(label) in str(caught.value)


def test_a_label_that_prometheus_reserves() -> None:
    with pytest.raises(DeclarationError, match="'le'"):
        obskit.observe("work", le="x")


@pytest.mark.parametrize("label", ["operation", "error_type"])
def test_a_label_that_every_operation_has(label: str) -> None:
    with pytest.raises(LabelError, match=f"'{label}' is one that every operation has: choose"):
        obskit.observe("work", labels={label: "x"})


def test_a_label_of_the_names_that_are_in_use() -> None:
    with pytest.raises(LabelError, match="'status'"):
        obskit.observe("work", names=MetricNames(outcome="status"), status="x")


@pytest.mark.parametrize("parameter", ["labels", "attributes"])
@pytest.mark.parametrize("given", [["a"], ["ab"], "ab", 7, [("a", "b")], ()])
def test_labels_and_attributes_are_mappings(parameter: str, given: Any) -> None:
    with pytest.raises(DeclarationError, match="give a mapping of names to values") as caught:
        obskit.observe("work", **{parameter: given})
    assert f"{parameter}={given!r}" in str(caught.value)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", [1], True])
def test_a_bad_slow(seconds: Any) -> None:
    obskit.observe("work", slow=1)  # a declaration that is equal but for the type
    with pytest.raises(DeclarationError, match="is not a number of seconds") as caught:
        obskit.observe("work", slow=seconds)
    assert f"operation 'work': slow={seconds!r}" in str(caught.value)


@pytest.mark.parametrize("outcome", ["ok", 7, {"ok": 1}])
def test_a_bad_outcome(outcome: Any) -> None:
    with pytest.raises(DeclarationError, match="'work': outcome= takes a function of"):
        obskit.observe("work", outcome=outcome)


def test_an_outcome_that_cannot_be_hashed() -> None:
    with pytest.raises(DeclarationError, match="'work': outcome= and log_events= have to be hash"):
        obskit.observe("work", outcome=Unhashable())


@pytest.mark.parametrize("names", ["names", None, {}])
def test_bad_names(names: Any) -> None:
    with pytest.raises(DeclarationError, match="'work': names= takes a MetricNames"):
        obskit.observe("work", names=names)


@pytest.mark.parametrize("path", ["", ".", "order.", "order..id", "order[0]", "a b", None])
def test_a_bad_path(path: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        obskit.observe("work", attributes={"id": arg(path)})(work)
    assert f"arg('{path}')" in str(caught.value)


def test_a_path_that_begins_with_no_parameter() -> None:
    with pytest.raises(DeclarationError) as caught:
        obskit.observe("work", labels={"kind": arg("cart.kind")})(work)
    assert str(caught.value) == "arg('cart.kind'): work() has no parameter 'cart'; it has: order"


def test_a_path_where_there_are_no_parameters() -> None:
    with pytest.raises(DeclarationError, match=r"work\(\) has no parameter 'x'; it has: none"):
        obskit.observe("work", labels={"x": arg("x")})(functools.partial(work, 1))


def test_a_path_into_a_function_that_hides_its_parameters() -> None:
    with pytest.raises(DeclarationError, match=r"print\(\) has no parameter 'x'"):
        obskit.observe("say", labels={"x": arg("x")})(print)
    with pytest.raises(DeclarationError, match="does not tell its parameters: decorate a Python"):
        obskit.observe("most", labels={"x": arg("x")})(max)


@pytest.mark.parametrize("parameter", ["labels", "attributes"])
def test_a_block_has_no_arguments(parameter: str, observed: Observed) -> None:
    options: dict[str, Any] = {parameter: {"id": arg("order.id")}}
    with (
        pytest.raises(DeclarationError, match=r"arg\('order.id'\) needs a decorated function"),
        obskit.observe("work", **options),
    ):
        pass
    observed.operation("work").never()


@pytest.mark.anyio
async def test_a_block_needs_a_name() -> None:
    with (
        pytest.raises(DeclarationError, match=r"needs a name: observe\('name'\)"),
        obskit.observe(),
    ):
        pass
    with pytest.raises(DeclarationError, match=r"needs a name: observe\('name'\)"):
        async with obskit.observe(tier="x"):
            pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total": "agent sessions"}, "agent_sessions"),
        ({"duration": None}, "a histogram needs a name, not None"),
        ({"in_progress": ""}, "a gauge needs a name, not ''"),
        ({"operation": "agent-type"}, "'agent-type'"),
        ({"outcome": "operation"}, "each label name once"),
        ({"outcome": "le"}, "'le'"),
        ({"buckets": (2.0, 1.0)}, "not in sorted order"),
        ({"outcomes": {"ok": "success"}}, "no word for error, cancelled, closed"),
        ({"outcomes": {"ok": 1, "error": "e", "cancelled": "c", "closed": "c"}}, "word for ok"),
        ({"outcomes": ["ok"]}, "outcomes=['ok']: give a mapping of outcomes to words"),
        ({"total": "jobs_total", "in_progress": "jobs"}, "each metric needs a name of its own"),
    ],
)
def test_bad_metric_names(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        MetricNames(**options)
    assert message in str(caught.value)


def test_every_mistake_is_of_one_family() -> None:
    with pytest.raises(ObskitError):
        obskit.observe("")
    with pytest.raises(ValueError, match="printable"):
        obskit.observe("")


def test_a_wrong_declaration_leaves_the_function_alone() -> None:
    with pytest.raises(DeclarationError):
        obskit.observe("work", labels={"x": arg("x")})(work)
    assert not hasattr(work, "__wrapped__")
