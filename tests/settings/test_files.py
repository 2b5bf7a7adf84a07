"""Settings files: found when named, understood or refused by name."""

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obskit.errors import ConfigurationError, MissingExtraError, UnknownSettingError
from obskit.settings import Settings, load_settings

SECRET = "s3cr3t-plant3d"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def load(file: Any, **environ: str) -> Settings:
    return load_settings(file=file, environ=environ)


def refusal(file: Path) -> str | None:
    """The text of the ConfigurationError that the file raises, if it does."""
    try:
        load(file)
    except ConfigurationError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the examples of one property share."""
    return tmp_path_factory.mktemp("files")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("obskit.yaml", "service: orders\nmax_series: 7\ncorrelation_headers: [X-A]\n"),
        ("OBSKIT.YML", "{service: orders, max_series: 7, correlation_headers: [X-A]}"),
        (
            "pyproject.toml",
            (
                "[project]\nname = 'x'\n"
                "[tool.obskit]\nservice = 'orders'\nmax_series = 7\ncorrelation_headers = ['X-A']\n"
            ),
        ),
        (
            "any.toml",
            "tool.obskit = {service = 'orders', max_series = 7, correlation_headers = ['X-A']}",
        ),
    ],
)
def test_formats(name: str, text: str, tmp_path: Path) -> None:
    """YAML and TOML say the same."""
    expected = load_settings(
        environ={}, service="orders", max_series=7, correlation_headers=("X-A",)
    )
    assert load(write(tmp_path / name, text)) == expected


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "{}"])
def test_empty_yaml_sets_nothing(text: str, tmp_path: Path) -> None:
    assert load(write(tmp_path / "obskit.yaml", text)) == load(None)


def test_bare_off_of_yaml(tmp_path: Path) -> None:
    """YAML reads a bare off as false: it means off all the same."""
    settings = load(write(tmp_path / "obskit.yaml", "logging: off\ntracing: off\n"))
    assert (settings.logging, settings.tracing) == ("off", "off")


def test_file_is_read_only_when_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that lies about in the working directory is not looked for."""
    write(tmp_path / "pyproject.toml", "[tool.obskit]\nservice = 'lurking'\n")
    write(tmp_path / "obskit.yaml", "service: lurking\n")
    monkeypatch.chdir(tmp_path)
    assert load(None).service == "unknown_service"


def test_file_named_by_the_environment(tmp_path: Path) -> None:
    """OBSKIT_FILE names the file; the keyword wins over it; empty is unset."""
    ours = write(tmp_path / "a.yaml", "service: a")
    theirs = write(tmp_path / "b.yaml", "service: b")
    assert load(None, OBSKIT_FILE=str(ours)).service == "a"
    assert load(str(theirs), OBSKIT_FILE=str(ours)).service == "b"
    assert load(None, OBSKIT_FILE="").service == "unknown_service"


def missing(directory: Path) -> Path:
    return directory / "missing.yaml"


def a_directory(directory: Path) -> Path:
    (directory / "folder.toml").mkdir()
    return directory / "folder.toml"


def below_a_file(directory: Path) -> Path:
    return write(directory / "file", "") / "obskit.yaml"


def a_loop(directory: Path) -> Path:
    (directory / "loop.yaml").symlink_to("loop.yaml")
    return directory / "loop.yaml"


def impossible(directory: Path) -> Path:
    return directory / "nul\0.yaml"


@pytest.mark.parametrize("make", [missing, a_directory, below_a_file, a_loop, impossible])
def test_unreadable(make: Any, tmp_path: Path) -> None:
    """A file that cannot be read is refused with its path, the reason and the remedy."""
    path = make(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"settings file {path} cannot be read (")
    assert message.endswith("): name a readable file with file= or OBSKIT_FILE")


@pytest.mark.parametrize("file", ["", "obskit.json", "obskit", "yaml"])
def test_other_formats_are_refused(file: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must end in \.yaml, \.yml, \.toml$"):
        load(file)


@pytest.mark.parametrize("file", [3, b"obskit.yaml", ["obskit.yaml"]])
def test_what_is_no_path_is_refused(file: object) -> None:
    with pytest.raises(
        ConfigurationError, match="expected the path of a file, not a value of type "
    ):
        load(file)


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.yaml", "service: a\nversion: [1, 2\n", "line 3, column 1"),
        ("a.yaml", "service: *nowhere", "line 1, column 10"),
        ("a.yaml", "service: a\n---\nservice: b\n", "line 2, column 1"),
        ("a.yaml", "service: \x00", "ReaderError"),
        ("a.yaml", "service: 2024-99-99", "ValueError"),
        ("a.yaml", "service: !!timestamp soon", "AttributeError"),
        ("a.yaml", "service: !!python/name:os.system", "line 1, column 10"),
        ("a.yaml", "[" * 600, "RecursionError"),
        ("a.toml", "[tool.obskit]\nservice = orders\n", "line 2, column 11"),
        ("a.toml", "tool.obskit.max_series = " + "9" * 5000, "limit"),
    ],
)
def test_malformed(name: str, text: str, place: str, tmp_path: Path) -> None:
    """A file that cannot be parsed is refused with its path, its format and the place."""
    path = write(tmp_path / name, text)
    kind = "YAML" if name.endswith("yaml") else "TOML"
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"settings file {path} is not valid {kind} (")
    assert place in message
    assert message.endswith("): correct its syntax")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", f"metrics_token: '{SECRET}\n"),
        ("a.yaml", f"metrics_token: *{SECRET}\n"),
        ("a.yaml", f"metrics_token: !{SECRET} {SECRET}\n"),
        ("a.yaml", f"metrics_token: {SECRET} {SECRET}\n"),
        ("a.yaml", f"metrics_token: [{SECRET}]\n"),
        ("a.toml", f"tool.obskit.metrics_token = '{SECRET}\n"),
        ("a.toml", f"tool.obskit.metrics_token = {SECRET}\n"),
        ("a.toml", f"tool.obskit = '{SECRET}'\n"),
    ],
)
def test_secret_is_not_in_the_error(name: str, text: str, tmp_path: Path) -> None:
    """A mistake near the token, or in it, does not show it."""
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path / name, text))
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_undecodable(tmp_path: Path) -> None:
    for name in ("a.yaml", "a.toml"):
        path = tmp_path / name
        path.write_bytes(b"service: \xff")
        with pytest.raises(ConfigurationError, match="is not valid"):
            load(path)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.yaml", "- service", "list"),
        ("a.yaml", "service", "str"),
        ("a.yaml", "false", "bool"),
        ("a.toml", "tool.obskit = 'orders'", "str"),
        ("a.toml", "[[tool.obskit]]", "list"),
    ],
)
def test_not_a_mapping(name: str, text: str, found: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(ConfigurationError, match="mapping of setting names") as caught:
        load(path)
    assert str(caught.value).startswith(
        f"settings file {path} holds a value of type {found} where "
    )


@pytest.mark.parametrize("text", ["", "service = 'a'", "[tool.ruff]", "tool = 'box'"])
def test_toml_without_the_table(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "pyproject.toml", text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value) == (
        f"settings file {path} has no table [tool.obskit]: add it, with the settings below it"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_series: '7'", "expected a whole number above 0, not '7'"),
        ("max_series: true", "expected a whole number above 0, not True"),
        ("version: 1.0", "expected text, not 1.0"),
        ("correlation_headers: X-A", "(unlike Content-Length), not 'X-A'"),
        ("registry: default", "only the keyword registry= can give it"),
    ],
)
def test_values_need_the_right_type(text: str, message: str, tmp_path: Path) -> None:
    """Values of a file are typed: text does not stand for a number, as in the environment."""
    path = write(tmp_path / "obskit.yaml", text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    name = text.partition(":")[0]
    assert str(caught.value).startswith(f"setting '{name}' (file {path}): ")
    assert str(caught.value).endswith(message)


def test_unknown_names(tmp_path: Path) -> None:
    """An entry that is no setting is refused with the nearest name; a file names no file."""
    path = write(tmp_path / "obskit.yaml", "servce: orders")
    with pytest.raises(UnknownSettingError, match="did you mean 'service'") as caught:
        load(path)
    assert caught.value.source == f"file {path}"
    with pytest.raises(UnknownSettingError):
        load(write(path, "file: other.yaml"))


def test_names_are_text(tmp_path: Path) -> None:
    path = write(tmp_path / "obskit.yaml", "1: orders")
    with pytest.raises(ConfigurationError, match="name of a setting is text, not int"):
        load(path)


def test_missing_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a YAML library, YAML names the extra to install and TOML works."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"pip install '.*\[yaml\]'") as caught:
        load(write(tmp_path / "obskit.yaml", "service: orders"))
    assert caught.value.extra == "yaml"
    toml = write(tmp_path / "any.toml", "[tool.obskit]\nservice = 'orders'")
    assert load(toml).service == "orders"


@given(content=st.binary() | st.text().map(str.encode), suffix=st.sampled_from(["yaml", "toml"]))
@example(content=b"? [a]\n: b", suffix="yaml")
@example(content=b"service: !!int ''", suffix="yaml")
@example(content=b"a: &a [*a]\nservice: *a", suffix="yaml")
def test_junk_files_raise_nothing_else(content: bytes, suffix: str, scratch: Path) -> None:
    """Any content is either understood or refused by a ConfigurationError that names the file."""
    path = scratch / f"junk.{suffix}"
    path.write_bytes(content)
    message = refusal(path)
    assert message is None or str(path) in message
