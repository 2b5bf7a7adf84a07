"""Bulk decoration keeps a class's type, and patches have types. Never run: checked only."""

import json
from typing import assert_type

import obskit
from obskit.operation import Instrumentation


@obskit.observe_methods
class Bare:
    def work(self, item: str) -> int:
        return len(item)


@obskit.observe_methods(exclude=("__repr__",), name="shop.{method}", labels={"tier": "gold"})
class Called:
    @property
    def size(self) -> int:
        return 1


class Later:
    pass


def classes_stay() -> None:
    assert_type(Bare().work("x"), int)
    assert_type(Called().size, int)
    assert_type(obskit.observe_methods(Later), type[Later])
    assert_type(obskit.observe_methods(Later, include={"__init__"})(), Later)


def patches_have_types() -> None:
    assert_type(obskit.instrument_object(json, "dumps", "loads", slow=1.0), Instrumentation)
    with obskit.instrument_object("json:dumps", name="dumps") as handle:
        assert_type(handle, Instrumentation)
        assert_type(handle.waiting, bool)
    assert_type(handle.uninstrument(), bool)
    assert_type(obskit.uninstrument(json, "dumps"), bool)


def wrong_declarations_are_found() -> None:
    obskit.observe_methods(Later, include=3)  # type: ignore[call-overload] # several names
    obskit.observe_methods("Later")  # type: ignore[call-overload] # a class
    obskit.instrument_object(json, json.dumps)  # type: ignore[arg-type] # the name of a method
    obskit.instrument_object(json, "dumps", name=3)  # type: ignore[arg-type] # a text
