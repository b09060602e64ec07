"""One vocabulary: a public name means one thing in the whole package, and words of our own making stay away.

- A name that a module defines for others (class, function, constant, alias) is defined nowhere else. Who needs the same
  thing imports it.
- Words that were used here for what the field (Noise, RTP, WebRTC, SIP, terminals) has a word for do not come back, in
  no name of a thing, file or argument. Constants are left out: those of the protocol are named by its manual page.
- A name that a docstring or a comment has between backticks is there: a thing that gets another name takes what is
  written about it along.

Each rule is shown planted bad samples. It leaves out private names, methods and variables, whose meaning is their
class's or function's, and what people read.
"""

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import pytest
from test_architecture import SOURCES, Source, none

ENTRY_POINTS = {"main": "what a process runs first: the command line's, and that of the window's process"}
"""Names that modules share by custom, each with the reason."""

RETIRED = {
    "audience": "playout confirmation",
    "cadence": "pacer",
    "chores": "background tasks",
    "door": "knock filter, reach policy",
    "halves": "partial initiations, half blocks",
    "happening": "event",
    "happenings": "events",
    "keeper": "supervisor, collector",
    "makes_way": "eviction",
    "sixteen": "ansi16",
    "station": "user agent",
}
"""Word of ours -> the field's."""

ELSEWHERE = {"nohup": "a command", "platformdirs": "a library that is not used, with the reason"}
"""Names between backticks that are not the package's, each with what it is."""


def definitions(source: Source) -> Iterator[tuple[str, ast.stmt]]:
    """The public names that a module defines, also under `if` and `try`; what it imports is somebody else's."""
    waiting = list(source.tree.body)
    while waiting:
        node = waiting.pop(0)
        found: list[str] = []
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found = [name]
            case ast.Assign(targets=targets):
                found = [
                    part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)
                ]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found = [name]
            case ast.If() | ast.Try() | ast.With():
                waiting[:0] = [
                    part for part in ast.walk(node) if isinstance(part, ast.stmt) and part is not node
                ]
            case _:
                pass
        yield from ((name, node) for name in found if not name.startswith("_"))


def defined_twice(sources: Iterable[Source]) -> list[str]:
    """Public names with more than one home."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for source in sources:
        for name in dict.fromkeys(name for name, _ in definitions(source)):
            homes[name].append(source.path)
    return [
        f"{name}: {', '.join(paths)}"
        for name, paths in sorted(homes.items())
        if len(paths) > 1 and name not in ENTRY_POINTS
    ]


def names(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Every name that a module uses or gives."""
    for node in ast.walk(source.tree):
        for field in ("id", "name", "asname", "attr", "arg", "module"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield node, name


def retired(source: Source) -> list[str]:
    """Names with a word of ours in them, and a file that is called so."""
    found = []
    stem = source.path.rpartition("/")[2].removesuffix(".py")
    for node, name in [(source.tree, stem), *names(source)]:
        if name.isupper():
            continue
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace(".", "_")
        for word, better in RETIRED.items():
            if f"_{word}_" in f"_{words}_":
                found.append(source.at(node, f"{name}: {word} is {better} here"))
    return found


def written(source: Source) -> tuple[set[str], list[tuple[int, str]]]:
    """The words of the code, those in its strings too, and each docstring and comment with its line."""
    used = set(source.path.removesuffix(".py").split("/"))
    said = []
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT or token.string.startswith('"""'):
            said.append((token.start[0], token.string))
        elif token.type in (tokenize.NAME, tokenize.STRING):
            used.update(re.findall(r"\w+", token.string))
    return used, said


def named_in_vain(sources: Sequence[Source]) -> list[str]:
    """Names between backticks that are nowhere in the code."""
    read = [(source.path, *written(source)) for source in sources]
    there = set(sys.stdlib_module_names).union(ELSEWHERE, *(used for _, used, _ in read))
    return [
        f"{path}:{line}: {name}"
        for path, _, said in read
        for line, text in said
        for name in re.findall(r"`(\w{3,})`", text)
        if name not in there
    ]


def test_what_a_docstring_names_is_there() -> None:
    assert named_in_vain(SOURCES) == []


def test_a_name_that_is_gone_is_found_in_what_is_written_about_it() -> None:
    text = (
        'def load(path): """As `store` does; `read` is left out, and `path` may be `gone`."""  # not `away`'
    )
    assert named_in_vain([Source("store/x.py", text)]) == [
        f"store/x.py:1: {name}" for name in ("read", "gone", "away")
    ]


def test_a_public_name_means_one_thing() -> None:
    none(defined_twice(SOURCES))


def test_names_that_modules_share_by_custom_are_in_use() -> None:
    used = [name for source in SOURCES for name, _ in definitions(source)]
    assert all(used.count(name) > 1 for name in ENTRY_POINTS)


def test_names_are_the_fields() -> None:
    none([breach for source in SOURCES for breach in retired(source)])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("class Line: pass", "Line = tuple[int, ...]"),
        ("WAIT_S: Final = 1.0", "WAIT_S = 2.0"),
        ("def load(): pass", "async def load(): pass"),
        ("A, B = range(2)", "B = 1"),
        ("if x:\n    T = 1\nelse:\n    T = 2", "try:\n    import y\nexcept ImportError:\n    T = None"),
    ],
)
def test_a_name_with_two_meanings_is_found(one: str, two: str) -> None:
    assert defined_twice([Source("view/one.py", one), Source("net/two.py", two)])
    assert not defined_twice([Source("view/one.py", one)]), "one module may choose between definitions"


def test_what_is_imported_or_private_has_no_second_meaning() -> None:
    sources = [
        Source("view/one.py", "class Line:\n    size = 1\ndef _help(): pass\n_T = 1\ndef main(): pass"),
        Source(
            "net/two.py", "from view.one import Line\nsize = 2\ndef _help(): pass\n_T = 2\ndef main(): pass"
        ),
    ]
    assert not defined_twice(sources)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("view/sixteen.py", ""),
        ("proto/x.py", "class Halves: pass"),
        ("proto/x.py", "def who_makes_way(kept): pass"),
        ("engine/x.py", "class FigureKeeper: pass"),
        ("engine/x.py", "def f(happening): pass"),
        ("engine/x.py", "self._door = 1"),
        ("engine/x.py", "from p2pcall.engine.station import a as b"),
        ("engine/x.py", "from p2pcall.x import a as door"),
    ],
)
def test_a_word_of_our_own_is_found(path: str, text: str) -> None:
    assert retired(Source(path, text))


def test_a_word_within_a_word_and_constants_of_the_protocol_are_no_words_of_our_own() -> None:
    text = "def stationary(indoor): return MAX_HALVES\n'the door, in words'"
    assert not retired(Source("proto/x.py", text))
