"""The rules of the house, held by walking the source: purity, small rooms, imports.

- `proto`, `media` and `pairing` are functions of (state, input, now): no clock, chance, socket, thread, await, logging.
- Whatever number is on the wire or in a timer is in the `constants.py` of `proto`, `media` or `pairing`.
- A file has at most 450 lines (of the tests 500), a function 60 without its docstring, a class 15 public methods.
- Imports point down; rooms beside each other do not import one another; each room has its libraries.
- `--version` and `--help` load none of the heavy libraries.
- Whatever library is imported is declared in `pyproject.toml`; none comes in as another one's.
- The tree speaks of the project alone.

Each rule is a function from a source to the list of its breaches, and is shown planted bad samples as well
as the tree, so that it is known to be able to fail. It leaves out numbers
(`test_numbers`), style and types (ruff and mypy do those).
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "p2pcall"

# ---- the plan

PURE_ROOMS = ("proto", "media", "pairing")
SANS_IO = (*PURE_ROOMS, "factor")
"""Rooms with no clock, chance or IO; the numbers of the others are on their constants' pages."""
BELOW_ENGINE = (*SANS_IO, "codec", "device", "net", "view", "store")
FOR_ALL = ("errors", "events", "names", "types")

ROOMS_BELOW: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BELOW_ENGINE, FOR_ALL),
    "pairing": (*FOR_ALL, "proto"),
    "store": (*FOR_ALL, "factor"),
    "errors": (),
    "events": (),
    "names": (),
    "types": (),
    "env": ("types",),
    "engine": (*FOR_ALL, "env", *BELOW_ENGINE),
    "demo": (*FOR_ALL, "env", "engine", "net", "device", "store"),
    "cli": (*FOR_ALL, "env", "engine", "demo", "net", "device", "view", "store", "factor", "pairing"),
    "__main__": ("cli", "env", "errors"),
    "__init__": (),
}
"""Room -> the rooms that it may import besides itself. Only the engine joins the core with the world."""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "proto": ("nacl", "cryptography"),
    "media": (),
    "pairing": ("nacl", "cryptography", "spake2"),
    "codec": ("av", "numpy", "livekit"),
    "device": ("sounddevice", "av", "numpy"),
    "net": ("zeroconf", "ifaddr"),
    "view": ("numpy", "av", "sdl2"),
    "factor": ("spake2",),
    "store": ("nacl", "apsw", "keyring"),
    "engine": ("av", "numpy"),
    "demo": ("numpy",),
    "cli": ("typer", "rich", "segno", "av"),
}
"""Room -> the third-party libraries that it may import besides `RECORDS`."""

RECORDS = "msgspec"
"""Every room makes its records with it: no IO, no clock, no chance."""

CONSTANTS = (
    *("p2pcall.proto.constants", "p2pcall.media.constants", "p2pcall.media.acoustic_constants"),
    "p2pcall.pairing.constants",
)
"""Numbers alone, which import nothing but each other: every room may have them, and none needs a copy."""

CONSTANT_FILES = (
    *("proto/constants.py", "media/constants.py", "media/acoustic_constants.py"),
    "pairing/constants.py",
)

HEAVY = ("av", "numpy", "sounddevice", "zeroconf", "sdl2", "apsw")

PURE_STDLIB = frozenset(
    (
        *("__future__", "abc", "array", "base64", "binascii", "bisect", "collections", "enum"),
        *(
            "fractions",
            "functools",
            "hashlib",
            "heapq",
            "hmac",
            "ipaddress",
            "itertools",
            "math",
            "operator",
            "statistics",
        ),
        *("string", "struct", "types", "typing", "unicodedata"),
    )
)
"""All of the standard library that a pure room may import; none of it knows the time, chance or the world."""

IMPURE_BUILTINS = frozenset(
    ("open", "print", "input", "breakpoint", "exec", "eval", "compile", "__import__", "globals")
)

CHANCE = frozenset(
    (
        *("randombytes", "randombytes_deterministic", "random", "urandom", "token_bytes"),
        *("generate_private_key", "crypto_box_keypair", "crypto_kx_keypair", "crypto_sign_keypair"),
    )
)
"""Names by which randomness comes in through the back door (`nacl` and `cryptography` have their own)."""

MAX_FILE_LINES = 450
MAX_TEST_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_PUBLIC_METHODS = 15


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the package: its path from the package's root, and its text."""

    path: str
    text: str

    @property
    def room(self) -> str:
        first = self.path.split("/", 1)[0]
        return first.removesuffix(".py")

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"


def package_sources() -> list[Source]:
    return [
        Source(path.relative_to(PACKAGE).as_posix(), path.read_text())
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


SOURCES = package_sources()


# ---- imports


def imports(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Every dotted name that the file imports, at any depth, relative ones made absolute."""
    package = ["p2pcall", *source.path.split("/")[:-1]]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            if base == ["p2pcall"]:
                yield from ((node, f"p2pcall.{alias.name}") for alias in node.names)
            else:
                yield node, ".".join(base)


def breaches_of_imports(source: Source) -> list[str]:
    rooms, libraries = ROOMS_BELOW.get(source.room), LIBRARIES.get(source.room, ())
    if rooms is None:
        return [source.at(source.tree, f"{source.room} is no room of the plan")]
    found = []
    for node, name in imports(source):
        top, _, rest = name.partition(".")
        if source.path in CONSTANT_FILES and name not in ("typing", *CONSTANTS):
            found.append(source.at(node, f"{source.path} imports {name}"))
        if name in CONSTANTS:
            continue
        if top == "dataclasses":
            found.append(source.at(node, "a record is a msgspec.Struct: dataclasses are slow to define"))
        if top == "p2pcall":
            other = rest.split(".", 1)[0]
            if other and other != source.room and other not in rooms and not other.startswith("__"):
                found.append(source.at(node, f"{source.room} imports {other}"))
        elif top not in sys.stdlib_module_names and top not in (*libraries, RECORDS):
            found.append(source.at(node, f"{source.room} imports the library {top}"))
    return found


# ---- purity


def breaches_of_purity(source: Source) -> list[str]:
    if source.room not in SANS_IO:
        return []
    found = []
    for node, name in imports(source):
        top = name.split(".", 1)[0]
        if top in sys.stdlib_module_names and top not in PURE_STDLIB:
            found.append(source.at(node, f"imports {top}"))
        if name in {"nacl.utils", "nacl.public"}:
            found.append(source.at(node, f"imports {name}, which has randomness"))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
            found.append(source.at(node, "is asynchronous"))
        elif isinstance(node, ast.Global):
            found.append(source.at(node, "has state of the module (global)"))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in IMPURE_BUILTINS:
            found.append(source.at(node, f"uses {node.id}"))
        elif isinstance(node, ast.Attribute) and node.attr in CHANCE:
            found.append(source.at(node, f"uses .{node.attr}"))
        elif isinstance(node, ast.Call) and ast.unparse(node).endswith(".generate()"):
            found.append(source.at(node, "generates something out of nothing"))
        elif isinstance(node, ast.ImportFrom):
            found += [source.at(node, f"imports {a.name}") for a in node.names if a.name in CHANCE]
    return found


# ---- small rooms


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def public_methods(node: ast.ClassDef) -> list[str]:
    """Public methods; properties are data."""
    return [
        item.name
        for item in node.body
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
        and not item.name.startswith("_")
        and not any("property" in ast.unparse(d) or ".setter" in ast.unparse(d) for d in item.decorator_list)
    ]


def breaches_of_size(source: Source) -> list[str]:
    found = []
    lines = source.text.count("\n")
    if lines > (MAX_TEST_LINES if source.path.startswith("tests/") else MAX_FILE_LINES):
        found.append(f"{source.path}: {lines} lines")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if (length := function_lines(node)) > MAX_FUNCTION_LINES:
                found.append(source.at(node, f"{node.name} has {length} lines"))
        elif isinstance(node, ast.ClassDef) and len(names := public_methods(node)) > MAX_PUBLIC_METHODS:
            found.append(source.at(node, f"{node.name} has {len(names)} public methods: {' '.join(names)}"))
    return found


def breaches_of_heads(source: Source) -> list[str]:
    empty = not source.tree.body
    return [] if empty or ast.get_docstring(source.tree) else [f"{source.path}: does not say what it is"]


# ---- the tree speaks of the project alone

WORKPLACE = re.compile(
    r"[.][.]/shared|/wor[k]/|/tmp/spe[c]|\bfarm[-]|before[-]stop|thi[s] session|issu[e]s? ?#?[0-9]"
    r"|\b[Ww]orke[r] [A-Z]\b|\bthe founde[r]\b|\bSPEC[.]md\b|\bHOUSE[.]md\b|\bas an A[I]\b",
    re.IGNORECASE,
)
"""Words of the place where the code was written, which tell its readers nothing."""


def breaches_of_speech(path: str, text: str) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), 1)
        if WORKPLACE.search(line)
    ]


def tree_files() -> list[Path]:
    """The files of the tree: git's list, else all that is not made by tools."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        tops = ("p2pcall", "tests", "man", ".ci", "docs")
        paths: Iterable[Path] = (path for top in tops for path in (ROOT / top).rglob("*"))
        return [path for path in [*ROOT.glob("*.*"), *paths] if path.is_file() and path.suffix != ".pyc"]
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


# ---- the tree

RULES = {
    "imports": breaches_of_imports,
    "purity": breaches_of_purity,
    "size": breaches_of_size,
    "heads": breaches_of_heads,
}


def none(found: list[str]) -> None:
    if found:
        pytest.fail(f"{len(found)} found:\n" + "\n".join(found), pytrace=False)


def test_the_tree_has_its_rooms() -> None:
    rooms = {source.room for source in SOURCES}
    assert set(BELOW_ENGINE) | {"engine", "cli", "errors", "events", "env"} <= rooms


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_its_rules(rule: str) -> None:
    found = [breach for source in SOURCES for breach in RULES[rule](source)]
    none(found)


def test_tests_are_small_too() -> None:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    sources = [Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]
    found = [breach for source in sources for breach in breaches_of_size(source)]
    none(found)


def test_the_tree_speaks_of_the_project_alone() -> None:
    found = []
    for path in tree_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += breaches_of_speech(path.relative_to(ROOT).as_posix(), text)
    none(found)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_a_quick_command_loads_nothing_heavy(option: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "p2pcall", option]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-300:]
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if "|" in line}
    assert "p2pcall.cli" in loaded, "the list of imports was read"
    assert not loaded & set(HEAVY)


DISTRIBUTIONS = {"nacl": "pynacl", "sdl2": "pysdl2", "apsw": "apsw-sqlite3mc"}
"""Libraries that are installed under another name than they are imported by."""


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["window"]]
    declared += project["optional-dependencies"]["keyring"]
    named = {re.split(r"[^A-Za-z0-9-]", one)[0] for one in declared}
    tops = {name.partition(".")[0] for source in SOURCES for _, name in imports(source)}
    libraries = tops - sys.stdlib_module_names - {"p2pcall"}
    assert "ifaddr" in libraries
    assert {DISTRIBUTIONS.get(name, name) for name in libraries} <= named


# ---- the rules can fail

BAD: list[tuple[str, str, str, str]] = [
    ("imports", "media/x.py", "from p2pcall.proto import wire", "media imports proto"),
    ("imports", "media/x.py", "from ..proto.wire import pack", "media imports proto"),
    ("imports", "view/x.py", "from p2pcall import store", "view imports store"),
    ("imports", "net/x.py", "def f():\n    import p2pcall.engine.node", "net imports engine"),
    ("imports", "store/x.py", "from p2pcall.env import Clock", "store imports env"),
    ("imports", "engine/x.py", "import p2pcall.cli", "engine imports cli"),
    ("imports", "cli/x.py", "from p2pcall.proto import noise", "cli imports proto"),
    ("imports", "events.py", "from p2pcall import view", "events imports view"),
    ("imports", "media/x.py", "import numpy", "the library numpy"),
    ("imports", "proto/x.py", "from zeroconf import Zeroconf", "the library zeroconf"),
    ("imports", "attic/x.py", "", "no room of the plan"),
    ("imports", "engine/x.py", "from dataclasses import dataclass", "a record is a msgspec.Struct"),
    ("imports", "media/constants.py", "import math", "media/constants.py imports math"),
    ("imports", "device/x.py", "from p2pcall.media.packets import FRAME_BYTES", "device imports media"),
    ("purity", "proto/x.py", "import time", "imports time"),
    ("purity", "proto/x.py", "from nacl.utils import EncryptedMessage", "nacl.utils"),
    ("purity", "proto/x.py", "from nacl.bindings import randombytes", "imports randombytes"),
    ("purity", "proto/x.py", "import nacl.bindings as b\nb.crypto_kx_keypair()", "uses .crypto_kx_keypair"),
    ("purity", "proto/x.py", "key = PrivateKey.generate()", "out of nothing"),
    ("purity", "media/x.py", "from random import Random", "imports random"),
    ("purity", "media/x.py", "import socket, threading", "imports threading"),
    ("purity", "media/x.py", "import logging", "imports logging"),
    ("purity", "media/x.py", "async def f():\n    await g()", "asynchronous"),
    ("purity", "media/x.py", "print(1)", "uses print"),
    ("purity", "media/x.py", "def f():\n    global n\n    n = 1", "global"),
    ("size", "cli/x.py", "x = 1\n" * (MAX_FILE_LINES + 1), "451 lines"),
    ("size", "tests/test_x.py", "x = 1\n" * (MAX_TEST_LINES + 1), "501 lines"),
    ("size", "cli/x.py", "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES, "f has 61 lines"),
    (
        "size",
        "cli/x.py",
        "class A:\n" + "".join(f"    def f{i}(self): ...\n" for i in range(16)),
        "16 public",
    ),
    ("heads", "cli/x.py", "x = 1", "does not say"),
]

GOOD: list[tuple[str, str, str]] = [
    (
        "imports",
        "proto/x.py",
        "from p2pcall.proto import wire\nfrom . import keys\nimport nacl.bindings, struct",
    ),
    (
        "imports",
        "engine/x.py",
        "from p2pcall.media import jitter\nfrom p2pcall.env import Clock\nimport asyncio",
    ),
    ("imports", "device/x.py", "from p2pcall.media.constants import FRAME_BYTES"),
    ("imports", "media/constants.py", "from p2pcall.proto.constants import MAX_U8 as MAX_U8"),
    ("imports", "cli/x.py", "from p2pcall import __version__\nfrom p2pcall.engine import node\nimport typer"),
    ("purity", "net/x.py", "import time, socket\nasync def f():\n    await g()"),
    ("purity", "media/x.py", "import struct\nfrom collections.abc import Callable\nnow = 1.0\n"),
    ("size", "cli/x.py", "def f():\n    '''Head.\n" + "\n" * 50 + "    '''\n" + "    x = 1\n" * 55),
    (
        "size",
        "cli/x.py",
        "class A:\n" + "".join(f"    @property\n    def f{i}(self): ...\n" for i in range(16)),
    ),
    ("size", "tests/test_x.py", "x = 1\n" * MAX_TEST_LINES),
    ("heads", "cli/__init__.py", ""),
]


@pytest.mark.parametrize(("rule", "path", "text", "message"), BAD)
def test_a_planted_breach_is_found(rule: str, path: str, text: str, message: str) -> None:
    found = RULES[rule](Source(path, text))
    assert any(message in breach for breach in found), found


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_what_keeps_the_rules_passes(rule: str, path: str, text: str) -> None:
    assert RULES[rule](Source(path, text)) == []


@pytest.mark.parametrize(
    "words", ["see .." + "/shared/x", "cd /wor" + "k/main", "closes issu" + "e #12", "for worke" + "r B"]
)
def test_a_word_of_the_workplace_is_found(words: str) -> None:
    assert breaches_of_speech("README.md", f"good\n{words}\n") == [f"README.md:2: {words}"]


def test_ordinary_words_are_no_words_of_the_workplace() -> None:
    assert breaches_of_speech("README.md", "issue a ticket; shared keys; at work; the workers sleep") == []
