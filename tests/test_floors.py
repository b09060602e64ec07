"""The rooms within `proto`, and that no files of the package import one another in a circle.

Imports for types alone count as well: who must know whom to be understood is what the plan is about. Each rule is shown
planted bad samples.
"""

import ast
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import pytest
from test_architecture import SOURCES, Source, imports, none

_HANDSHAKE = ("constants", "wire", "messages", "backoff", "handshake")
_PEER = (*_HANDSHAKE, "call", "line", "phase", "peer")

PROTO_BELOW: dict[str, tuple[str, ...]] = {
    "constants": (),
    "wire": ("constants",),
    "messages": ("constants",),
    "backoff": ("constants",),
    "handshake": ("constants", "wire"),
    "admission": _HANDSHAKE,
    "call": _HANDSHAKE,
    "presence": ("constants", "handshake"),
    "line": (*_HANDSHAKE, "call"),
    "phase": ("wire", "messages", "call"),
    "peer": (*_HANDSHAKE, "call", "line", "phase"),
    "events": ("messages", "peer"),
    "state": (*_PEER, "events"),
    "phases": (*_PEER, "events", "admission", "state"),
    "endpoint": (*_PEER, "events", "admission", "state", "phases"),
    "__init__": (),
}
"""The same inside `proto`: room or file -> what it may import of `proto` besides itself."""


def breaches_of_floors(source: Source) -> list[str]:
    """Imports within `proto` that do not point down."""
    if source.room != "proto":
        return []
    own = source.path.split("/")[1].removesuffix(".py")
    below = PROTO_BELOW.get(own)
    if below is None:
        return [source.at(source.tree, f"{own} is no room of proto's plan")]
    found = []
    for node, name in imports(source):
        parts = name.split(".")
        others = parts[2:3] if parts[:2] == ["p2pcall", "proto"] else []
        if parts == ["p2pcall", "proto"] and isinstance(node, ast.ImportFrom):
            others = [alias.name for alias in node.names]
        found += [
            source.at(node, f"proto's {own} imports {other}")
            for other in others
            if other != own and other not in below
        ]
    return found


def circles(sources: Iterable[Source]) -> list[str]:
    """A circle of files that import one another, if there is one; imports for types alone count as well."""
    modules = {"p2pcall." + source.path.removesuffix(".py").replace("/", "."): source for source in sources}
    graph: dict[str, set[str]] = {}
    for module, source in modules.items():
        wanted = graph.setdefault(module, set())
        for node, name in imports(source):
            inside = (
                [f"{name}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            )
            wanted |= {one for one in [name, *inside] if one in modules and one != module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(reversed(error.args[1]))]
    return []


def test_imports_within_proto_point_down() -> None:
    none([breach for source in SOURCES for breach in breaches_of_floors(source)])


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("proto/line/x.py", "from p2pcall.proto.peer import Peer", "line imports peer"),
        ("proto/call/x.py", "from p2pcall.proto import line", "call imports line"),
        ("proto/attic.py", "", "no room of proto's plan"),
    ],
)
def test_a_planted_import_upwards_is_found(path: str, text: str, message: str) -> None:
    (breach,) = breaches_of_floors(Source(path, text))
    assert message in breach


def test_imports_of_the_own_room_and_of_those_below_pass() -> None:
    text = "from p2pcall.proto.line import y\nfrom p2pcall.proto import wire"
    assert not breaches_of_floors(Source("proto/line/x.py", text))


def test_no_files_import_one_another_in_a_circle() -> None:
    none(circles(SOURCES))


def test_a_circle_of_imports_is_found_even_for_types_alone() -> None:
    one = Source("view/one.py", "from p2pcall.view import two")
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p2pcall.view.one import One"
    assert circles([one, Source("view/two.py", types)])
    assert not circles([one, Source("view/two.py", "from p2pcall.view import three")])
