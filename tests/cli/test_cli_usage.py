"""Wrong options and targets: exit 2 or 3, one line that tells what is wrong, one that tells what to do."""

import io
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
import typer
from clirun import NO_MEDIA, assert_told, run

from p2pcall import __version__
from p2pcall.cli.app import app, app_for

COMMANDS = ("listen", "dial", "peers", "invite", "join", "demo", "id", "devices", "contacts")
HEAVY = ("av", "numpy", "sounddevice", "zeroconf", "pydantic")

WRONG = {
    "no target": (["dial"], ["TARGET"]),
    "unknown command": (["frobnicate"], ["frobnicate"]),
    "unknown option": (["dial", "bob", "--frobnicate"], ["--frobnicate"]),
    "two targets": (["dial", "bob", "eve"], ["eve"]),
    "port too large": (["listen", "--port", "70000"], ["--port", "65535", "70000"]),
    "port below zero": (["listen", "--port=-1"], ["--port"]),
    "port no number": (["listen", "--port", "http"], ["--port", "0", "65535", "http"]),
    "no time to answer": (["dial", "bob", "--timeout", "0"], ["--timeout"]),
    "endless timeout": (["dial", "bob", "--timeout", "inf"], ["--timeout"]),
    "no timeout at all": (["dial", "bob", "--timeout", "nan"], ["--timeout"]),
    "no duration": (["listen", "--max-duration", "-3"], ["--max-duration"]),
    "who is answered": (["listen", "--answer", "everyone"], ["--answer", "everyone", "anyone"]),
    "who can reach": (["listen", "--reach", "nobody"], ["--reach", "nobody", "contacts"]),
    "who is told": (["listen", "--announce", "loudly"], ["--announce", "loudly", "public"]),
    "empty name": (["listen", "--name", " "], ["--name"]),
    "name that steers a terminal": (["listen", "--name", "bob\x1b[2J"], ["--name"]),
    "long name": (["listen", "--name", "b" * 65], ["--name", "64"]),
    "two outputs on stdout": (["dial", "bob", "--audio-out", "-", "--video-out", "-"], ["--audio-out"]),
    "sound and events on stdout": (["listen", "--audio-out", "-", "--json"], ["--json", "stdout"]),
    "picture and events on stdout": (["listen", "--video-out", "-", "--json"], ["--json", "stdout"]),
    "two inputs on stdin": (["dial", "bob", "--audio-in", "-", "--video-in", "-"], ["--audio-in"]),
    "a way to draw that is not there yet": (["dial", "bob", "--video-out", "octants"], ["octants"]),
    "no sound and a file": (["dial", "bob", "--no-audio", "--audio-in", "x.wav"], ["--no-audio", "x.wav"]),
    "nobody to forget": (["contacts", "remove"], ["NAME"]),
}

WRONG_TARGETS = {
    "nothing": "",
    "open bracket": "[::1",
    "port zero": "192.0.2.1:0",
    "port too large": "192.0.2.1:65536",
    "port no number": "bob:phone",
    "half an address": "192.0.2",
    "everybody's own": "0.0.0.0",
    "a group": "224.0.0.251",
    "no zone": "fe80::1",
    "an address for a name": "http://bob",
    "a name that steers a terminal": "bob\x1b[2J",
    "long": "b" * 300,
}


@pytest.mark.parametrize("argv,words", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_option_is_told_with_a_hint(argv: list[str], words: list[str]) -> None:
    ran = run(*argv)
    assert_told(ran, 2, *words)
    assert "\x1b" not in ran.err
    if "--json" not in argv:
        assert ran.out == ""


def options(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All options of all commands, and the commands that they are of."""
    for name, one in getattr(command, "commands", {}).items():
        yield from options(one, (*path, name))
    for param in () if hasattr(command, "commands") else command.params:
        if param.opts[0].startswith("-") and not param.is_flag:
            yield path, param


def help_of(program: typer.Typer, command: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        program(args=[command, "--help"], prog_name="p2pcall", standalone_mode=False)
    return out.getvalue()


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ("contacts", "id")])
def test_only_the_command_that_is_called_is_built_and_its_help_is_the_same(command: str) -> None:
    alone = app_for([command, "bob"])
    assert list(typer.main.get_command(alone).commands) == [command]  # type: ignore[attr-defined]
    assert help_of(alone, command) == help_of(app, command)


@pytest.mark.parametrize("argv", [[], ["--help"], ["frobnicate"], ["contacts", "list"]])
def test_what_calls_no_command_of_the_first_level_sees_all_of_them(argv: list[str]) -> None:
    assert app_for(argv) is app


FREE_TEXT = {"--name", "--as", "--bind", "--home", "--ring-on", "--record", "--to"} | {
    *("--audio-in", "--audio-out", "--video-in", "--video-out"),
    *("--pin-file", "--pin-command", "--word-file", "--passphrase-file", "--new-passphrase-file"),
    *("--import-passphrase-file", "--contact"),
}
"""Options whose value is not for the parser to judge."""
ALL = [
    (path, param) for path, param in options(typer.main.get_command(app)) if param.opts[0] not in FREE_TEXT
]


@pytest.mark.parametrize(
    ("path", "param"), ALL, ids=[" ".join((*path, param.opts[0])) for path, param in ALL]
)
def test_a_wrong_value_is_told_in_our_words_with_what_was_typed_and_what_may_be(
    path: tuple[str, ...], param: Any
) -> None:
    option = param.opts[0]
    ran = run(*path, *(["bob"] if path == ("dial",) else []), option, "Bogus")
    assert_told(ran, 2, option, "Bogus")
    for word in ("is not one of", "nvalid value", "nput should", "alue error"):
        assert word not in ran.err
    choices = re.findall(r"[a-z]{2,}", param.metavar)
    assert all(choice in ran.err for choice in choices)
    assert choices or re.search("number", ran.err) or option in ("--audio-format", "--announce-on")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["listen", "--port"], "--port wants a value"),
        (["listen", "--once=1"], "--once takes no value"),
        (["dial"], "TARGET is missing"),
        (["contacts", "add", "bob"], "URI is missing"),
        (["listen", "--porrt", "1"], "there is no option --porrt; there is --port"),
        (["listen", "--frobnicate"], "there is no option --frobnicate; there is --force, --once"),
    ],
)
def test_what_is_missing_or_is_none_is_told_in_our_words(argv: list[str], text: str) -> None:
    assert run(*argv).err.splitlines()[0] == f"p2pcall: error: {text}"


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["frobnicate"], "p2pcall"),
        (["dial"], "p2pcall dial"),
        (["contacts"], "p2pcall contacts"),
        (["contacts", "ad"], "p2pcall contacts"),
        (["contacts", "add", "bob"], "p2pcall contacts add"),
    ],
)
def test_the_hint_leads_to_the_help_of_the_command_that_was_meant(argv: list[str], command: str) -> None:
    assert run(*argv).err.splitlines()[1] == f"p2pcall: hint: {command} --help"


@pytest.mark.parametrize("target", WRONG_TARGETS.values(), ids=WRONG_TARGETS.keys())
def test_a_target_that_is_none_is_told_with_a_hint(target: str) -> None:
    ran = run("dial", target, "--port", "0", *NO_MEDIA)
    assert_told(ran, 2)
    assert "\x1b" not in ran.err


def test_a_wrong_target_is_told_whatever_devices_there_are() -> None:
    """The target is what the person has just typed; a missing sound card comes second."""
    ran = run("dial", "[::1", "--port", "0", "--audio-in", "no such microphone anywhere", "--no-video")
    assert_told(ran, 2, "[::1")


def test_an_interface_that_is_not_there_is_not_found() -> None:
    assert_told(run("dial", "fe80::1%nosuchif0", "--port", "0", *NO_MEDIA), 3, "nosuchif0", "ip link")


def test_where_nobody_listens_nothing_answers() -> None:
    """The system says that the port is closed: no need to wait for the handshake to time out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    ran = run("dial", f"127.0.0.1:{port}", "--port", "0", "--bind", "127.0.0.1", "--json", *NO_MEDIA)
    assert_told(ran, 3, f"127.0.0.1:{port}", "p2pcall listen")
    assert [row["event"] for row in ran.rows] == ["dialling", "error"]
    assert ran.rows[1]["slug"] == "unreachable"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_one_cannot_call_oneself(host: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    ran = run("dial", f"{host}:{port}", "--port", str(port), "--json", *NO_MEDIA)
    assert_told(ran, 3, "that is this machine; nobody listens here", "p2pcall listen")
    assert [row["event"] for row in ran.rows] == ["error"]


def test_where_nobody_answers_nothing_answers() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        assert_told(run("dial", target, "--port", "0", "--quiet", *NO_MEDIA), 3, target, "firewall")


def test_an_address_that_is_not_ours_cannot_be_bound() -> None:
    ran = run("listen", "--bind", "192.0.2.77", "--port", "0", "--announce", "off", *NO_MEDIA)
    assert_told(ran, 2, "192.0.2.77")


def test_a_bind_that_is_no_address_is_told() -> None:
    assert_told(run("listen", "--bind", "bob", "--port", "0", "--announce", "off", *NO_MEDIA), 2, "bob")


def test_errors_are_events_as_well() -> None:
    ran = run("listen", "--port", "70000", "--json")
    assert_told(ran, 2)
    (row,) = ran.rows
    assert {name: row[name] for name in ("v", "event", "slug", "exit")} == {
        "v": 1, "event": "error", "slug": "usage", "exit": 2,
    }  # fmt: skip
    assert row["text"] in ran.err
    assert row["hint"] in ran.err
    assert row["t"] > 1_600_000_000


def test_alone_it_shows_what_most_people_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert run().exit == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    for line in ("p2pcall listen", "p2pcall dial", "p2pcall peers"):
        assert line in shown.out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version").exit == 0
    assert capsys.readouterr().out == f"p2pcall {__version__}\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", ["", *COMMANDS, "contacts list", "contacts show"])
def test_each_command_has_help(command: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command.split(), option).exit == 0
    shown = capsys.readouterr()
    assert f"Usage: p2pcall {command}" in shown.out
    assert "..." not in shown.out.replace("[ARGS]...", ""), "what a command does is told to the end"
    assert shown.err == ""


def loaded_of(libraries: tuple[str, ...], argv: list[str]) -> list[str]:
    """Which of them a command that ends at once has loaded."""
    script = (
        "import sys; from p2pcall.cli import main; from p2pcall.env import Env;"
        f"main({argv!r}, Env.system());"
        f"sys.exit(' '.join(sorted(set({libraries!r}) & set(sys.modules))))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    *said, found = result.stderr.splitlines()
    assert len(said) <= 2, "an error and its hint"
    return found.split()


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["dial", "--help"], ["listen", "--port", "x"]])
def test_what_needs_no_device_loads_none(argv: list[str]) -> None:
    assert loaded_of(HEAVY, argv) == []


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["dial", "--help"]])
def test_who_only_asks_for_help_does_not_wait_for_records(argv: list[str]) -> None:
    assert loaded_of(("msgspec", "asyncio"), argv) == []
