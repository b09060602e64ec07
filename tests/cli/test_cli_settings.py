"""Each option of `listen` and `dial` comes to what uses it: it changes the settings, and a setting is read below."""

import ast
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from test_architecture import SOURCES

from p2pcall.cli import options
from p2pcall.cli.app import app
from p2pcall.engine.settings import CallSettings, MediaSettings

COMMANDS: Any = vars(typer.main.get_command(app))["commands"]
BESIDE = ("json", "quiet", "plain", "passphrase_file", "home", "help")
"""What the command itself uses: its output, its home."""
SAMPLES = {
    "answer": "never",
    "reach": "anyone",
    "announce": "off",
    "announce_on": "lo",
    "profile": "fast",
    "audio_format": "f32le:8000:2",
    "video_out": "ascii",
}
"""Values other than the default, of options that do not take any number or text."""


def given() -> Iterator[tuple[str, list[str]]]:
    """Each command, and each of its options as it is typed."""
    for command in ("listen", "dial"):
        for param in COMMANDS[command].params:
            if param.opts[0].startswith("--") and param.name not in BESIDE:
                value = [] if param.is_flag else [SAMPLES.get(param.name, "7")]
                yield command, [param.opts[0], *value]


def settings(command: str, argv: list[str]) -> CallSettings:
    target = ["bob"] if command == "dial" else []
    context = COMMANDS[command].make_context(command, [*argv, *target])
    return options.call_settings(context.params)


@pytest.mark.parametrize(("command", "argv"), list(given()))
def test_every_option_of_a_call_changes_its_settings(command: str, argv: list[str]) -> None:
    assert settings(command, argv) != settings(command, [])


def of_settings(node: ast.Attribute) -> bool:
    """Whether it is read from something that is called settings, as all of them are."""
    base = node.value
    name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
    return name.lstrip("_") in ("settings", "media")


def test_every_setting_is_read_by_what_it_is_for() -> None:
    below = (source for source in SOURCES if source.path.startswith("engine/"))
    found = (node for source in below for node in ast.walk(source.tree) if isinstance(node, ast.Attribute))
    read = {node.attr for node in found if of_settings(node)}
    assert {*CallSettings.__struct_fields__, *MediaSettings.__struct_fields__} - read == set()
