"""What the repository promises about itself."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)\n```", README, flags=re.MULTILINE | re.DOTALL)
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MAXIMUM_LINES = 400


def test_readme_has_two_commands_of_one_line_each() -> None:
    assert len(COMMANDS) == 2
    assert all("\n" not in command for command in COMMANDS)


def test_continuous_integration_runs_the_readme_s_test_command_literally() -> None:
    assert COMMANDS[1] in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_file_is_too_long(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= MAXIMUM_LINES


def test_readme_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
