"""PRIVATE SETTINGS in p2pcall(1) has the switches that there are, with their values."""

from mdoc import items, marked, page

from p2pcall.cli.privacy_settings import BY_NAME, ELSEWHERE, TAKEN_BACK
from p2pcall.engine.policy import NEUTRAL_NAME

SECTION = page("p2pcall.1")["PRIVATE SETTINGS"]


def test_every_switch_is_described_with_its_values_and_nothing_else() -> None:
    described = {item.head[1]: item.body for item in items(SECTION)}
    assert [*described] == [*BY_NAME]
    for name, switch in BY_NAME.items():
        first, last = switch.values[0], switch.values[-1]
        if isinstance(first, int):
            assert " ".join(described[name]).startswith(f"{first} to {last} days")
        else:
            assert set(map(str, switch.values)) <= marked(described[name], "Cm")
    assert f".Li {NEUTRAL_NAME}" in described["show-name"]


def test_what_is_shown_and_set_elsewhere_is_named() -> None:
    after = SECTION[SECTION.index(".El") :]
    assert set(ELSEWHERE) <= marked(after, "Cm")
    (command,) = (
        item for item in items(page("p2pcall.1")["COMMANDS"]) if item.head[1:] == ["privacy", "settings"]
    )
    assert TAKEN_BACK in marked(command.body, "Cm")
