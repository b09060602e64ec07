"""docs/privacy.md: each promise names tests that there are."""

import re

import pytest
from mdoc import ROOT

PAGE = (ROOT / "docs" / "privacy.md").read_text()
HEAD = re.compile(r"^\| (.+) \| (.+) \| shown by \|$", re.MULTILINE)


def rows() -> list[list[str]]:
    """The cells of all tables, without their heads."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and not HEAD.match(line)]
    return [line.strip("| ").split(" | ") for line in lines if not set(line) <= set("|- ")]


def test_each_promise_has_a_mechanism_and_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(rows()) > 25
    for what, how, shown in rows():
        named = re.findall(r"`(test_\w+)`", shown)
        assert what and how and named
        assert shown == ", ".join(f"`{name}`" for name in named)
        assert [name for name in named if f"def {name}(" not in tests] == [], what


@pytest.mark.parametrize("law", ["GDPR", "CCPA", "HIPAA"])
def test_each_law_says_what_cannot_be_done_for_it(law: str) -> None:
    (section,) = re.findall(rf"^## {law}.*?(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert HEAD.search(section)
    assert "What it cannot do:" in section


def test_the_days_are_those_of_the_program() -> None:
    from p2pcall.store.recordings import RECORDING_DAYS
    from p2pcall.store.retention import MAX_DAYS

    assert {int(days) for days in re.findall(r"(\d+) days", PAGE)} == {MAX_DAYS, RECORDING_DAYS}
