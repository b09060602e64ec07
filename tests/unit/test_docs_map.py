"""ARCHITECTURE.md is true: its rooms are the plan that the tests hold, and the files that it names are there."""

import re

from test_architecture import PACKAGE, ROOMS_BELOW, ROOT
from test_floors import PROTO_BELOW

MAP = (ROOT / "ARCHITECTURE.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| .+? \| (.*?) ?\|$", re.MULTILINE)
PATH = re.compile(r"`((?:\w+/)+(?:\w+(?:\.py|\.md)?)?)`")


def test_the_table_of_rooms_is_the_plan() -> None:
    table = {room: set(re.findall(r"`(\w+)`", below)) for room, below in ROW.findall(MAP)}
    plan = {room: set(below) for room, below in ROOMS_BELOW.items() if not room.startswith("__")}
    assert table == plan


def test_the_floors_of_proto_are_all_on_the_map() -> None:
    (floors,) = re.findall(r"Inside `proto` the floors are.*?\n\n", MAP, re.DOTALL)
    named = {name.rstrip("/") for name in re.findall(r"`(\w+/?)`", floors)} - {"proto"}
    assert named == {name for name in PROTO_BELOW if not name.startswith("__")}


def test_what_the_map_names_is_there() -> None:
    for text in (MAP, CONTRIBUTING):
        for path in PATH.findall(text):
            assert any(
                (base / path).exists() or (base / f"{path}.py").exists()
                for base in (ROOT, PACKAGE, PACKAGE / "proto")
            ), path
