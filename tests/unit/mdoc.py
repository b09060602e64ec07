"""The manual pages as data: sections, lists, tables and displays, by the few rules of mdoc(7) that they use.

Leaves out everything else of mdoc(7); a page that uses more is a page that these functions misread.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAN = ROOT / "man"
PAGES = ("p2pcall.1", "p2pcall-protocol.7", "p2pcall-security.7")


@dataclass(frozen=True, slots=True)
class Item:
    """One `.It` of a list: its head as words, the lines of its body, and how deep the list is."""

    head: list[str]
    body: list[str]
    depth: int


def parts(lines: Sequence[str], macro: str) -> dict[str, list[str]]:
    """The lines below each heading (`.Sh` or `.Ss`)."""
    found: dict[str, list[str]] = {}
    body: list[str] = []
    for line in lines:
        if line.startswith(f"{macro} "):
            title = line.removeprefix(macro).strip().removesuffix(r"\&")
            assert title not in found, f"{title} is there twice"
            body = found[title] = []
        else:
            body.append(line)
    return found


def page(name: str) -> dict[str, list[str]]:
    """The sections of a page."""
    return parts((MAN / name).read_text().splitlines(), ".Sh")


def tokens(line: str) -> list[str]:
    """The words of a macro line; quoted ones are one."""
    return [word.strip('"').replace(r"\&", "") for word in re.findall(r'"[^"]*"|\S+', line)]


def items(lines: Sequence[str]) -> list[Item]:
    """All items of all lists; an item's body holds what is nested in it as well."""
    found: list[Item] = []
    depth = 0
    for line in lines:
        if line.startswith(".El"):
            depth -= 1
            continue
        if line.startswith(".It"):
            found.append(Item(tokens(line.removeprefix(".It")), [], depth))
            continue
        depth += line.startswith(".Bl")
        for level in range(depth + 1):
            current = next((item for item in reversed(found) if item.depth == level), None)
            if current is not None and found[-1].depth >= level:
                current.body.append(line)
    return found


def rows(lines: Sequence[str]) -> list[list[str]]:
    """The cells of a `.Bl -column` list, without its head."""
    found: list[list[str]] = []
    for item in items(lines)[1:]:
        cells: list[list[str]] = [[]]
        for word in item.head:
            if word == "Ta":
                cells.append([])
            elif word not in ("Dv", "Li"):
                cells[-1].append(word)
        found.append([" ".join(cell) for cell in cells])
    return found


def literals(lines: Sequence[str]) -> list[list[str]]:
    """The `.Bd -literal` displays."""
    found: list[list[str]] = []
    inside = False
    for line in lines:
        if line.startswith(".Bd -literal"):
            inside = True
            found.append([])
        elif line == ".Ed":
            inside = False
        elif inside:
            found[-1].append(line.replace(r"\e", "\\"))
    return found


def marked(lines: Sequence[str], macro: str) -> set[str]:
    """Arguments of the lines that are `macro` and nothing else."""
    return {
        word for line in lines if line.startswith(f".{macro} ") for word in tokens(line)[1:] if word != ","
    }
