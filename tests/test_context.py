"""Correlation ids and bound fields: who sees them, how long, and how many there may be."""

import asyncio
import contextvars
import gc
import os
import re
import threading
import uuid
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import obskit
from obskit.context import (
    CORRELATION_ID,
    MAXIMUM_FIELDS,
    current_context,
    is_valid_correlation_id,
    new_correlation_id,
)
from obskit.testing import Observed


@pytest.fixture(autouse=True)
def _outside() -> Generator[None]:
    """Let no test see what another has bound for the main thread."""
    token = current_context.set(None)
    yield
    current_context.reset(token)


def fields(observed: Observed) -> dict[str, Any]:
    """Return what a log line written now carries of bound fields."""
    obskit.get_logger("test").info("probe")
    line = observed.logs.all(event="probe")[-1]
    known = {"timestamp", "level", "event", "logger", "service", "environment", "version"}
    return {name: line[name] for name in line if name not in known | {"correlation_id"}}


def sites(observed: Observed) -> list[str]:
    return [site for site, _ in observed.internal_errors()]


def test_outside_of_everything_there_is_no_id() -> None:
    assert obskit.correlation_id() is None


def test_a_fresh_id_is_128_random_bits() -> None:
    first, second = new_correlation_id(), new_correlation_id()
    assert first != second
    assert len(first) == 32
    assert is_valid_correlation_id(first)


@pytest.mark.parametrize("valid", ["a", "A-b_c.9", "x" * 128])
def test_good_ids(valid: str) -> None:
    assert is_valid_correlation_id(valid)


@pytest.mark.parametrize("invalid", ["", "x" * 129, "a b", "a\n", "é", "a;b", '"', "a\0"])
def test_bad_ids(invalid: str) -> None:
    assert not is_valid_correlation_id(invalid)


def test_a_unit_gets_its_id_when_it_is_first_asked_for(observed: Observed) -> None:
    with obskit.observe("work"):
        first = obskit.correlation_id()
        assert first is not None
        assert obskit.correlation_id() == first
    with obskit.observe("work"):
        assert obskit.correlation_id() != first


def test_bound_fields_are_on_every_line_inside(observed: Observed) -> None:
    with obskit.bound(tenant="acme"):
        with obskit.bound(user=7):
            assert fields(observed) == {"tenant": "acme", "user": 7}
        assert fields(observed) == {"tenant": "acme"}
    assert fields(observed) == {}


def test_inner_values_win_and_outer_ones_come_back(observed: Observed) -> None:
    with obskit.bound(tenant="acme"):
        with obskit.bound(tenant="other"):
            assert fields(observed) == {"tenant": "other"}
        assert fields(observed) == {"tenant": "acme"}


def test_bound_fields_end_with_an_error_too(observed: Observed) -> None:
    with pytest.raises(ValueError, match="x"), obskit.bound(tenant="acme"):
        raise ValueError("x")
    assert fields(observed) == {}


def test_bind_lasts_to_the_end_of_the_block(observed: Observed) -> None:
    with obskit.bound(tenant="acme"):
        obskit.bind(user=7)
        obskit.bind(user=8, page=1)
        assert fields(observed) == {"tenant": "acme", "user": 8, "page": 1}
    assert fields(observed) == {}


def test_bind_outside_of_everything_lasts_as_long_as_the_thread(observed: Observed) -> None:
    obskit.bind(tenant="acme")
    with obskit.observe("work"):
        obskit.bind(user=7)
    assert fields(observed) == {"tenant": "acme", "user": 7}
    elsewhere: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: elsewhere.append(fields(observed)))
    thread.start()
    thread.join()
    assert elsewhere == [{}]


def test_one_unit_has_one_id_whatever_is_bound_inside(observed: Observed) -> None:
    """The id is made at the latest when it would otherwise come apart."""
    with obskit.observe("work"):
        with obskit.bound(step=1):
            first = obskit.correlation_id()
        with obskit.bound(step=2), obskit.observe("inner"):
            assert obskit.correlation_id() == first
        assert obskit.correlation_id() == first


def test_an_id_can_be_given() -> None:
    with obskit.bound(correlation_id="c-1"):
        assert obskit.correlation_id() == "c-1"
        with obskit.bound(correlation_id="c-2"):
            assert obskit.correlation_id() == "c-2"
        obskit.bind(correlation_id="c-3")
        assert obskit.correlation_id() == "c-3"


@pytest.mark.parametrize("given_id", [7, uuid.UUID(int=1)])
def test_an_id_of_another_type_becomes_text(given_id: Any) -> None:
    with obskit.bound(correlation_id=given_id):
        assert obskit.correlation_id() == str(given_id)


@pytest.mark.parametrize("how", ["bind", "bound"])
@pytest.mark.parametrize("invalid", ["", "a b", "x" * 129, "a\r\nSet-Cookie: x", None, ["a"]])
def test_an_invalid_id_is_replaced(how: str, invalid: Any) -> None:
    def bind() -> str | None:
        if how == "bound":
            with obskit.bound(correlation_id=invalid):
                return obskit.correlation_id()
        obskit.bind(correlation_id=invalid)
        return obskit.correlation_id()

    identifier = bind()
    assert identifier is not None
    assert len(identifier) == 32
    assert is_valid_correlation_id(identifier)


def test_an_id_whose_text_raises_is_replaced_and_counted(observed: Observed) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

    with obskit.bound(correlation_id=Hostile()):
        assert is_valid_correlation_id(obskit.correlation_id() or "")
    assert sites(observed) == ["context.bind"]


@given(st.text(max_size=200))
def test_whatever_is_given_the_id_is_valid(text: str) -> None:
    with obskit.bound(correlation_id=text):
        identifier = obskit.correlation_id() or ""
    assert is_valid_correlation_id(identifier)
    assert identifier == text or not is_valid_correlation_id(text)


def test_a_unit_binds_128_fields_and_the_rest_is_counted(observed: Observed) -> None:
    with obskit.bound():
        for number in range(MAXIMUM_FIELDS + 2):
            obskit.bind(**{f"f{number}": number})
        obskit.bind(f0="again", more=1, correlation_id="c-1")
        assert obskit.correlation_id() == "c-1"
        kept = fields(observed)
    assert len(kept) == MAXIMUM_FIELDS
    assert kept["f0"] == "again"
    assert "more" not in kept
    assert sites(observed) == ["context.bind"] * 3


def test_a_full_unit_may_still_change_its_fields(observed: Observed) -> None:
    with obskit.bound(**{f"f{number}": number for number in range(MAXIMUM_FIELDS)}):
        obskit.bind(f0="again", f1="again")
        assert fields(observed)["f1"] == "again"
    assert sites(observed) == []


def test_a_block_takes_no_more_either(observed: Observed) -> None:
    with obskit.bound(**{f"f{number}": number for number in range(MAXIMUM_FIELDS + 5)}):
        assert len(fields(observed)) == MAXIMUM_FIELDS
    assert sites(observed) == ["context.bind"]


@pytest.mark.anyio
async def test_tasks_see_what_was_bound_where_they_began(observed: Observed) -> None:
    async def task() -> dict[str, Any]:
        await asyncio.sleep(0)
        return fields(observed)

    with obskit.bound(tenant="acme"):
        begun = asyncio.create_task(task())
    assert await begun == {"tenant": "acme"}


@pytest.mark.anyio
async def test_a_block_in_a_task_is_the_tasks_own(observed: Observed) -> None:
    entered, checked = asyncio.Event(), asyncio.Event()

    async def task() -> None:
        with obskit.bound(user=7):
            entered.set()
            await checked.wait()

    with obskit.bound(tenant="acme"):
        begun = asyncio.create_task(task())
        await entered.wait()
        assert fields(observed) == {"tenant": "acme"}
        checked.set()
        await begun


@pytest.mark.anyio
async def test_what_a_task_binds_is_on_the_last_line_of_its_unit(observed: Observed) -> None:
    """A request's access line shows what its handler has bound, in whichever task it ran."""

    async def handler() -> None:
        obskit.bind(user=7)

    with obskit.bound(tenant="acme"):
        await asyncio.create_task(handler())
        assert fields(observed) == {"tenant": "acme", "user": 7}


@pytest.mark.anyio
async def test_nothing_leaks_between_a_thousand_tasks() -> None:
    async def task(number: int) -> None:
        with obskit.bound(correlation_id=f"c-{number}", number=number):
            for step in range(3):
                await asyncio.sleep(0)
                obskit.bind(step=step)
                context = current_context.get()
                assert context is not None
                assert context.fields == {
                    CORRELATION_ID: f"c-{number}",
                    "number": number,
                    "step": step,
                }

    await asyncio.gather(*(task(number) for number in range(1_000)))
    assert current_context.get() is None


def test_threads_of_one_unit_may_bind_at_the_same_time(observed: Observed) -> None:
    barrier = threading.Barrier(8)

    def thread(number: int) -> None:
        barrier.wait()
        for step in range(200):
            obskit.bind(**{f"thread{number}": step})

    with obskit.bound():
        work = obskit.carry(thread)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for started in threads:
            started.start()
        for started in threads:
            started.join()
        assert fields(observed) == {f"thread{number}": 199 for number in range(8)}


def test_a_block_held_by_a_generator_and_closed_elsewhere_leaves_that_place_alone() -> None:
    def rows() -> Generator[int]:
        with obskit.bound(table="orders"):
            yield 1

    held = [rows()]
    contextvars.copy_context().run(next, held[0])
    with obskit.bound(correlation_id="elsewhere"):
        outside = current_context.get()
        held.clear()
        gc.collect()
        assert current_context.get() is outside


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_ids_are_never_given_twice_not_even_to_a_child() -> None:
    """They are made many at once; a forked child has none of its parent's."""
    reader, writer = os.pipe()
    mine = [new_correlation_id() for _ in range(3)]
    child = os.fork()
    if child == 0:  # pragma: no cover - out of sight
        try:
            os.write(writer, "\n".join(new_correlation_id() for _ in range(70)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    mine += [new_correlation_id() for _ in range(200)]
    os.waitpid(child, 0)
    with os.fdopen(reader) as given:
        theirs = given.read().split("\n")
    assert len(theirs) == 70
    assert len({*mine, *theirs}) == len(mine) + len(theirs)
    assert all(re.fullmatch("[0-9a-f]{32}", identifier) for identifier in mine + theirs)
