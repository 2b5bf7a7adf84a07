"""``obskit bench``, run as a user runs it."""

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from obskit.bench import QUICK, Report, select
from obskit.cli import main

if TYPE_CHECKING:
    from pathlib import Path

FAST_ROW = "metrics.gauge_set"


def test_a_row_is_printed_and_written_as_json(tmp_path: "Path") -> None:
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "obskit", "bench", "--quick", "--rows", FAST_ROW]
    completed = subprocess.run(
        [*command, "--json", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    assert [line for line in completed.stdout.splitlines() if line.startswith(FAST_ROW)]
    written = Report.from_json(file.read_text(encoding="utf-8"))
    assert [row.name for row in written.rows] == [FAST_ROW]
    assert (written.costs, written.left_out) == ([], [])
    assert written.effort == QUICK


def test_the_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert {entry.name for entry in select()} < listed


def test_a_pattern_chooses_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list", "--rows", "metrics.*"]) == 0
    listed = capsys.readouterr().out.splitlines()[1:]
    assert listed
    assert all(line.startswith("metrics.") for line in listed)


def test_a_pattern_that_chooses_nothing_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "--rows", "metrcs.*"])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no row is called 'metrcs.*'" in line


def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: "Path", capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "missing" / "bench.json"
    assert main(["bench", "--json", str(file)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("obskit bench: ")
    assert str(file) in line


def test_a_file_is_replaced_as_a_whole(
    tmp_path: "Path", capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    file.write_text("something longer than a document" * 1000, encoding="utf-8")
    assert main(["bench", "--quick", "--rows", FAST_ROW, "--json", str(file)]) == 0
    assert json.loads(file.read_text(encoding="utf-8"))["rows"][0]["name"] == FAST_ROW
    assert FAST_ROW in capsys.readouterr().out
