"""What is wrong with a declaration of `instrument_object` is said at once."""

import json
import time
from collections.abc import Generator
from typing import Any

import pytest
from tests.kits.patched import Client, members

import obskit
from obskit.errors import DeclarationError, LabelError


@pytest.fixture(autouse=True)
def _nothing_left() -> Generator[None]:
    """Hold every test to it: the classes are afterwards what they were before."""
    before = members()
    yield
    assert members() == before


WRONG: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
    (json, ("dump_s",), {}, "json has no 'dump_s': did you mean 'dumps'?"),
    (json, ("qqqqqq",), {}, "json has no 'qqqqqq'$"),
    ("json:dump_s", (), {}, "json has no 'dump_s': did you mean 'dumps'?"),
    ("json:JSONEncoderr.encode", (), {}, "json has no 'JSONEncoderr': did you mean"),
    (Client, ("gett",), {}, r"patched.Client has no 'gett': did you mean 'get'?"),
    (Client(), ("gett",), {}, r"patched.Client has no 'gett': did you mean 'get'?"),
    (json, ("decoder",), {}, "json.decoder is of type module, not a method or function"),
    (json, ("JSONDecoder",), {}, "json.JSONDecoder is a class: name a method of it"),
    (Client, ("__new__",), {}, "instrument __init__"),
    (Client, ("host",), {}, "has no 'host'"),
    (Client("x"), ("host",), {}, "Client.host is of type str"),
    (None, ("dumps",), {}, "None has nothing to instrument"),
    (json, (), {}, "name a method of json, at least one"),
    ("json", (), {}, "'module:function' or 'module:Class.method'"),
    ("json:", (), {}, "'module:function' or 'module:Class.method'"),
    ("json:dumps()", (), {}, r"'json:dumps\(\)': give 'module:Class.method'"),
    (":dumps", (), {}, "':dumps': give 'module:Class.method'"),
    ("", ("dumps",), {}, "'': give 'module:Class.method'"),
    ("json dumps", (), {}, "'json dumps': give"),
    (json, ("dumps:x",), {}, "'dumps:x': give"),
    (json, ("a..b",), {}, "'a..b': give"),
    (json, (json.dumps,), {}, "function dumps.*give 'module:Class.method', or names of methods"),
    (json, ("dumps",), {"name": 3}, "name=3: give a text"),
    (json, ("dumps",), {"slow": -1}, "is not a number of seconds"),
    (json, ("dumps",), {"labels": {"x": obskit.arg("obje")}}, "no parameter 'obje'"),
    (time, ("sleep",), {"labels": {"x": obskit.arg("seconds")}}, "parameter"),
    (Client, ("get",), {"names": "x"}, "names= takes a MetricNames"),
]


@pytest.mark.parametrize(
    ("target", "methods", "options", "message"), WRONG, ids=[message for *_, message in WRONG]
)
def test_what_is_wrong_is_said_at_once(
    target: Any, methods: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises((DeclarationError, LabelError), match=message):
        obskit.instrument_object(target, *methods, **options)


def test_one_wrong_name_undoes_the_others() -> None:
    with pytest.raises(DeclarationError, match="has no 'fetsch'"):
        obskit.instrument_object(Client, "get", "fetsch")


@pytest.mark.parametrize("target", [Client, f"{Client.__module__}:Client"])
def test_uninstrument_takes_no_wrong_names(target: Any) -> None:
    with pytest.raises(DeclarationError, match=r"did you mean 'get'\?"):
        obskit.uninstrument(target, "gett")


def test_uninstrument_of_what_was_never_imported_does_not_import_it() -> None:
    assert obskit.uninstrument("obskit_never_there:run")


def test_uninstrument_of_what_was_never_instrumented_changes_nothing() -> None:
    assert obskit.uninstrument(Client, "get", "make") is True
    assert obskit.uninstrument("json:dumps") is True
