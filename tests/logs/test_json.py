"""Any value whatever becomes part of one line of strict JSON."""

import enum
import json
import math
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.logs import _json as module
from obskit.logs import render_json


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        return "Raising()"


class RaisingDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")

    __hash__ = None


class Colour(enum.Enum):
    RED = 1


class Text(str):
    __slots__ = ()


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    YES = "yes"


class Mixed(str, enum.Enum):  # noqa: UP042 - its own text is another
    NO = "no"


class Float(float):
    """As NumPy's is, with a text of its own."""

    def __str__(self) -> str:
        return "Float"

    __repr__ = __str__


class Odd:
    """Refuses to say anything about itself."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def read(line: bytes) -> dict[str, Any]:
    """Read a line as strictly as any reader may."""
    text = line.decode("utf-8", "strict")
    assert text.splitlines() == [text[:-1]]
    assert "\x1b" not in text
    parsed: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return parsed


@pytest.fixture(params=["orjson", "json"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Encode with orjson, or as an environment without the extra does."""
    if request.param == "json":
        monkeypatch.setattr(module, "_encode_fast", module._encode_standard)
    return str(request.param)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**60, max_value=2**70),
    st.floats(),
    st.text(st.characters()),
    st.text(st.sampled_from('\n\r\x0b\x0c\x1b\x1c\x1d\x1e\x85\u2028\u2029\ud800\udfff\\"\0')),
    st.binary(),
    st.complex_numbers(),
    st.sampled_from([Raising(), Colour.RED, object(), Ellipsis, RaisingDict(a=1)]),
)
KEYS = st.one_of(SCALARS, st.tuples(st.text(), st.integers())).filter(
    lambda key: not isinstance(key, dict)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(KEYS, inner), st.sets(st.text())
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.text(st.characters()), VALUES))
@pytest.mark.parametrize("encode", ["_encode_fast", "_encode_standard"])
def test_any_entry_is_one_line_of_strict_json(encode: str, entry: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_encode_fast", getattr(module, encode))
        assert read(render_json(entry)).keys() == entry.keys()


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(-(2**53), 2**53),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_plain_values_are_kept_as_they_are(value: Any) -> None:
    assert read(render_json({"value": value})) == {"value": value}


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, "9223372036854775808"),
        (10**5000, "<unprintable>"),
        (b"\xff", "b'\\xff'"),
        (Raising(), "<unprintable>"),
        (RaisingDict(a=1), "<unprintable>"),
        ({Raising(): 1}, {"<unprintable>": 1}),
        ({b"k": 1, (1, 2): 2, None: 3}, {"b'k'": 1, "(1, 2)": 2, "None": 3}),
        (Text("text"), "text"),
        ({Text("key"): Text("text")}, {"key": "text"}),
        ((1, 2), [1, 2]),
        (frozenset({1}), [1]),
        (Colour.RED, "Colour.RED"),
        (Number.ONE, 1),
        (Word.YES, "yes"),
        (Mixed.NO, "no"),
        ({Mixed.NO: [Number.ONE]}, {"no": [1]}),
        (Float(1.5), 1.5),
        (Float("nan"), None),
        (True, True),
        ([[[[[[[[[Number.ONE, [1]]]]]]]]]], [[[[[[[["<list>"]]]]]]]]),
        ("\ud800", "\ud800"),
        ({"\udfff": 1}, {"\udfff": 1}),
        ("a\u2028b\u2029c\x85d\n\x1b[31m", "a\u2028b\u2029c\x85d\n\x1b[31m"),
    ],
    ids=lambda value: "" if isinstance(value, int) else None,
)
def test_values_that_json_does_not_know(value: Any, shown: Any) -> None:
    (read_back,) = read(render_json({"value": value})).values()
    assert (read_back, type(read_back)) == (shown, type(shown))


@pytest.mark.usefixtures("encoder")
def test_a_value_that_refuses_to_say_anything() -> None:
    assert read(render_json({"value": Odd()})) == {"value": "<unprintable>"}


@pytest.mark.usefixtures("encoder")
def test_field_names_of_any_kind_become_text() -> None:
    entry: Any = {1: "a", (2, 3): "b", b"c": "c", Text("d"): "d"}
    assert read(render_json(entry)) == {"1": "a", "(2, 3)": "b", "b'c'": "c", "d": "d"}


def test_deep_nesting_ends_in_the_type() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert read(render_json({"value": value})) == {"value": [[[[[[[["<list>"]]]]]]]]}


@pytest.mark.parametrize("width", [1, 10, 1_000])
def test_a_cycle_costs_no_more_than_what_is_shown(width: int) -> None:
    """A list that holds itself a thousand times would have 10**24 items within eight levels."""
    value: list[Any] = []
    value.extend([value] * width)
    began = time.monotonic()
    line = render_json({"value": value})
    assert time.monotonic() - began < 5
    assert len(line) < 50_000
    read(line)


def test_a_cycle_of_mappings_is_cut() -> None:
    value: dict[str, Any] = {}
    value |= {f"{number}": value for number in range(100)}
    assert len(render_json({"value": value})) < 50_000


def test_long_values_are_cut() -> None:
    shown = read(
        render_json(
            {
                "text": "x" * 20_000,
                "list": list(range(5_000)),
                "map": {str(number): 0 for number in range(5_000)},
                "key": {"k" * 20_000: 1},
                "object": bytes(20_000),
            }
        )
    )
    assert shown["text"] == "x" * module.MAXIMUM_TEXT + "…"
    assert shown["list"] == list(range(module.MAXIMUM_ITEMS))
    assert len(shown["map"]) == module.MAXIMUM_ITEMS
    assert list(shown["key"]) == ["k" * module.MAXIMUM_TEXT + "…"]
    assert len(shown["object"]) == module.MAXIMUM_TEXT + 1


def test_the_standard_encoder_stands_in_where_orjson_is_not_installed(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run(
        "import sys; sys.modules['orjson'] = None\n"
        "import obskit; from obskit.logs import _json\n"
        "assert _json._encode_fast is _json._encode_standard\n"
        "obskit.configure(service='s'); obskit.get_logger('app').info('é\\u2028\\ud800', n=2**70)"
    )
    assert (done.returncode, done.stderr) == (0, "")
    line = read(done.stdout.encode())
    assert (line["event"], line["n"]) == ("é\u2028\ud800", str(2**70))
