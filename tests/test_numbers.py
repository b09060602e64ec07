"""One home for each number: in `proto` and `media` their constants' page, elsewhere the head of a file.

- In `proto` and `media` a number is arithmetic or stands in `constants.py`.
- In the other rooms a number is arithmetic, a place in something laid out, a count up to four, or has a name in
  capitals at the head of the file or class. Drawings (their coordinates) and readers of others' formats are left out.
- What has a name on a constants' page is given a number nowhere else, and no two files give one name the same number.
- A constant at the head of a file is `Final`.
- All of it is held by walking the source. Zero, one, two and a half say nothing that could be tuned.
"""

import ast
from collections.abc import Iterable, Iterator

import pytest
from test_architecture import CONSTANT_FILES, PURE_ROOMS, SOURCES, Source, none

UNITS = frozenset({8, 1000, 1_000_000})
"""Factors that are arithmetic rather than choice: bits in a byte, milli- and microseconds in a second."""

SHIFTS = frozenset({3, 4, 8, 16, 24, 32, 48, 56, 64})
"""Bit positions that are arithmetic rather than choice, in `<<` and `>>`."""

OTHERS_UNITS = UNITS | {60, 100, 1024, 3600, 1_000_000_000}
"""Beside the core there are also minutes, hours, hundredths, kibibytes and nanoseconds."""

COUNTS = frozenset({3, 4, 255})
"""Few enough to be seen: planes, channels, a part of three; and the largest sample of eight bits."""

DRAWINGS = ("device/drawn/", "view/cells.py", "view/layout.py", "view/ansi16.py")
FORMATS = ("device/exif.py", "device/streams.py")
"""Readers of formats that others have laid out: each number is a place or a length of the standard named there."""

IP_VERSIONS = frozenset({4, 6})

# ---- the rules


def is_plain(value: object) -> bool:
    """Whether the literal says nothing that could be tuned: not a number, or one of 0, 1, 2 and a half."""
    return isinstance(value, bool) or not isinstance(value, int | float) or value in (0, 1, 2, 0.5)


def is_mask(value: object) -> bool:
    return isinstance(value, int) and value & (value + 1) == 0


def arithmetic_literals(node: ast.AST) -> Iterator[ast.AST]:
    """Literals below this node whose place makes them arithmetic: units, shifts, masks, enum members."""
    if isinstance(node, ast.ClassDef):
        names = [base.id for base in node.bases if isinstance(base, ast.Name)]
        if any(name.endswith(("Enum", "Flag")) for name in names):
            for statement in node.body:
                if isinstance(statement, ast.Assign):
                    yield from ast.walk(statement.value)
    elif isinstance(node, ast.BinOp):
        for side in (node.left, node.right):
            if not isinstance(side, ast.Constant):
                continue
            shift = isinstance(node.op, ast.LShift | ast.RShift) and side.value in SHIFTS
            mask = isinstance(node.op, ast.BitAnd) and is_mask(side.value)
            factor = isinstance(node.op, ast.Mult | ast.Div | ast.FloorDiv | ast.Mod) and side.value in UNITS
            if shift or mask or factor:
                yield side


def constants_of(source: Source) -> Iterator[tuple[str, ast.AST, float]]:
    """The file's own constants that are written as a plain number: name, place, value."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and not is_plain(node.value.value):
                    yield target.id.lstrip("_"), node, node.value.value


def second_homes(sources: Iterable[Source]) -> list[str]:
    """Constants of the same name that two files give a number of their own.

    The name of a number of the protocol or of the media has one meaning and one value in the whole tree; elsewhere
    the same name with another value is another room's word.
    """
    found, homes = [], dict[str, list[tuple[Source, float]]]()
    for source in sorted(sources, key=lambda source: source.path not in CONSTANT_FILES):
        for name, node, value in constants_of(source):
            for home, other in homes.get(name, []):
                if home.path in CONSTANT_FILES or other == value:
                    found.append(source.at(node, f"{name} has a home in {home.path}"))
            homes.setdefault(name, []).append((source, value))
    return found


def breaches_of_numbers(source: Source) -> list[str]:
    if source.room not in PURE_ROOMS or source.path.endswith("constants.py"):
        return []
    nodes = list(ast.walk(source.tree))
    allowed = {id(literal) for node in nodes for literal in arithmetic_literals(node)}
    return [
        source.at(node, f"{node.value!r} belongs into constants.py, with its unit and reason")
        for node in nodes
        if isinstance(node, ast.Constant) and not is_plain(node.value) and id(node) not in allowed
    ]


def is_written_as_bits(source: Source, node: ast.Constant) -> bool:
    """Hexadecimal and octal: a byte of somebody's format, a mode of a file."""
    segment = source.text.splitlines()[node.lineno - 1].encode()[node.col_offset : node.end_col_offset]
    return segment[:2].lower() in (b"0x", b"0o")


def layout_literals(node: ast.AST) -> Iterator[ast.AST]:
    """Literals below this node that are a place, a unit, digits to round to, or a version of IP."""
    if isinstance(node, ast.Subscript):
        yield from ast.walk(node.slice)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "round":
        yield from node.args[1:]
    elif isinstance(node, ast.BinOp | ast.Compare):
        sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.left, *node.comparators]
        versions = any(isinstance(side, ast.Attribute) and side.attr == "version" for side in sides)
        for side in sides:
            if isinstance(side, ast.Constant) and side.value in (IP_VERSIONS if versions else OTHERS_UNITS):
                yield side


def named_literals(node: ast.AST) -> Iterator[ast.AST]:
    """Literals in the value of a name in capitals, at the head of a file or a class."""
    if isinstance(node, ast.Module | ast.ClassDef):
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                names = [
                    name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
                ]
                if names and all(name.isupper() for name in names):
                    yield from ast.walk(statement.value)


def breaches_of_names(source: Source) -> list[str]:
    """In the rooms that are not pure."""
    if source.room in PURE_ROOMS or source.path.startswith((*DRAWINGS, *FORMATS)):
        return []
    nodes = list(ast.walk(source.tree))
    kinds = (arithmetic_literals, layout_literals, named_literals)
    allowed = {id(literal) for node in nodes for kind in kinds for literal in kind(node)}
    return [
        source.at(node, f"{node.value!r} wants a name at the head of the file, with its unit and reason")
        for node in nodes
        if isinstance(node, ast.Constant)
        and not is_plain(node.value)
        and id(node) not in allowed
        and node.value not in COUNTS
        and not is_written_as_bits(source, node)
    ]


# ---- the tree


def breaches_of_style(source: Source) -> list[str]:
    """Constants at the head of a file are `NAME: Final = value`; a type's other name is no constant."""
    return [
        source.at(node, f"{target.id} is not Final")
        for node in source.tree.body
        if isinstance(node, ast.Assign)
        and not isinstance(node.value, ast.BinOp | ast.Attribute | ast.Subscript)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper() and len(target.id.lstrip("_")) > 1
    ]


def test_a_constant_is_final() -> None:
    none([breach for source in SOURCES for breach in breaches_of_style(source)])


def test_a_number_of_the_core_stands_on_its_page() -> None:
    none([breach for source in SOURCES for breach in breaches_of_numbers(source)])


def test_a_number_elsewhere_has_a_name() -> None:
    none([breach for source in SOURCES for breach in breaches_of_names(source)])


def test_a_number_has_one_home() -> None:
    none(second_homes(SOURCES))


# ---- the rules can fail


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("proto/x.py", "TIMEOUT_S = 5.0", "5.0 belongs"),
        ("proto/x.py", "def f(data):\n    return data[4:]", "4 belongs"),
        ("media/x.py", "def f(depth=12):\n    return depth", "12 belongs"),
        ("media/x.py", "x = y * 0.125", "0.125 belongs"),
        ("media/x.py", "x = -3", "3 belongs"),
        ("media/x.py", "x = y & 0x50", "80 belongs"),
        ("media/x.py", "class A:\n    LIMIT = 50", "50 belongs"),
        ("view/x.py", "def f():\n    sleep(0.25)", "0.25 wants"),
        ("engine/x.py", "def f(limit=64):\n    pass", "64 wants"),
        ("net/x.py", "class A:\n    size = 50", "50 wants"),
        ("store/x.py", "if age > 600.0:\n    pass", "600.0 wants"),
        ("cli/x.py", "def f():\n    PAUSE_S = 0.3", "0.3 wants"),
        ("device/x.py", "x = y * 7", "7 wants"),
    ],
)
def test_a_planted_number_is_found(path: str, text: str, message: str) -> None:
    found = [*breaches_of_numbers(Source(path, text)), *breaches_of_names(Source(path, text))]
    assert [message in breach for breach in found] == [True]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("proto/constants.py", "TIMEOUT_S = 5.0"),
        ("proto/x.py", "from enum import IntEnum\nclass Kind(IntEnum):\n    A = 3\n    B = 1 << 5"),
        ("media/x.py", "x = (y >> 16) & 0xFFFF\nms = int(s * 1000)\nn = bits // 8\nh = (a + b) * 0.5"),
        ("view/x.py", "WIDTH: Final = 80\nclass A:\n    SIDE = 16\n    SIZES = (16, 24)"),
        (
            "device/x.py",
            "x = data[8:12]\ny = round(z, 5)\nm = s // 60\nif b == 0x1B or i.version == 6:\n    p(0o600)",
        ),
        ("device/drawn/x.py", "ellipse(160, 204.5)"),
    ],
)
def test_arithmetic_and_names_pass(path: str, text: str) -> None:
    assert [*breaches_of_numbers(Source(path, text)), *breaches_of_names(Source(path, text))] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("proto/constants.py", "KEY_BYTES: Final = 32"), ("store/x.py", "KEY_BYTES = 33")),
        (("proto/constants.py", "RATE = 48_000"), ("media/constants.py", "RATE = 48_000")),
        (("view/x.py", "_WAIT_S: Final = 5.0"), ("device/x.py", "WAIT_S = 5.0")),
    ],
)
def test_a_second_home_is_found(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert len(second_homes([Source(*one), Source(*other)])) == 1
    assert len(second_homes([Source(*other), Source(*one)])) == 1


def test_a_name_for_a_number_that_is_elsewhere_is_no_home() -> None:
    proto = Source("proto/constants.py", "NAME_BYTES: Final = 64")
    alias = Source("device/x.py", "from p2pcall.proto.constants import NAME_BYTES\nROOM = NAME_BYTES")
    others = [Source("view/x.py", "WAIT_S = 5.0"), Source("device/x.py", "WAIT_S = 6.0")]
    assert second_homes([proto, alias, *others]) == []


def test_a_constant_that_can_be_changed_is_found() -> None:
    assert breaches_of_style(Source("view/x.py", "WIDTH = 80")) == ["view/x.py:1: WIDTH is not Final"]
    assert (
        breaches_of_style(Source("view/x.py", "WIDTH: Final = 80\nX = TypeVar('X')\nPair = tuple[int, int]"))
        == []
    )
