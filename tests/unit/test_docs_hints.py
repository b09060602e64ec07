"""Whatever the program tells people to type can be typed: every command and option in its words is one that it has.

The strings are taken from the source itself; docstrings are left out, and so is what other programs are told.
"""

import ast
import re
from collections.abc import Iterator

import pytest
from mdoc import ROOT
from test_docs import COMMANDS, all_options

COMMAND = re.compile(
    r"(?<!a newer )(?<!a second )\bp2pcall ((?:--)?[a-z][a-z-]*(?: [a-z][a-z-]*)?)(?P<rest>[^;`|]*)"
)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
FOREIGN = re.compile(r"\b(?:pip|apt-get|brew) install [^;`]*")
GROUPS = {name.split()[0] for name in COMMANDS if " " in name}
TOP = {"--help", "--version"}
FENCED = re.DOTALL | re.MULTILINE


def strings() -> Iterator[tuple[str, str]]:
    """Every string that is no docstring, with its place; what an f-string fills in is an X."""
    for path in sorted((ROOT / "p2pcall").rglob("*.py")):
        tree = ast.parse(path.read_text())
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                told |= {id(part) for part in node.values}
                parts = [str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values]
                yield f"{path.name}:{node.lineno}", "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                yield f"{path.name}:{node.lineno}", node.value


def wrong(text: str) -> list[str]:
    """The commands and options in a text that there are not."""
    text = FOREIGN.sub("", text)
    found = []
    for told in COMMAND.finditer(text):
        words = told[1].split()
        name = " ".join(words[: 2 if words[0] in GROUPS else 1])
        if name not in COMMANDS and words[0] in COMMANDS:  # `id` is a command, and has others below it
            name = words[0]
        if name not in {*COMMANDS, *TOP}:
            found.append(f"p2pcall {name}")
            continue
        takes = {param.opts[0] for param in COMMANDS[name].params} if name in COMMANDS else set()
        found += [f"{name} {one}" for one in OPTION.findall(told["rest"]) if one not in {*takes, "--help"}]
    return found + [one for one in OPTION.findall(text) if one not in {*all_options(), "--help"}]


def test_every_command_and_option_that_people_are_told_exists() -> None:
    told = [(place, text) for place, text in strings() if "p2pcall " in text or "--" in text]
    assert len(told) > 30
    assert [(place, bad) for place, text in told for bad in wrong(text)] == []


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "docs/always-on.md"])
def test_every_command_and_option_of_the_prose_exists(name: str) -> None:
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", (ROOT / name).read_text(), flags=FENCED))
    told = [text for text in spans if text.startswith(("p2pcall ", "--"))]
    assert [(text, bad) for text in told for bad in wrong(text)] == []


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("p2pcall doctor", ["p2pcall doctor"]),
        ("see `p2pcall contacts forget X`", ["p2pcall contacts forget"]),
        ("p2pcall peers --loud; p2pcall id", ["peers --loud", "--loud"]),
        ("p2pcall peers --answer ask", ["peers --answer"]),
        ("take --any-port", ["--any-port"]),
        ("`p2pcall id`: p2pcall contacts remove -- X", []),
        ("p2pcall listen, in another terminal", []),
        ("p2pcall listen --reach anyone; pip install --user p2pcall", []),
    ],
)
def test_a_command_or_option_that_is_none_is_found(text: str, bad: list[str]) -> None:
    assert wrong(text) == bad
