"""`id`, `contacts`, `devices`: what they show, what they change, what they say to a damaged home."""

import base64
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from clirun import BOB, assert_told, run

from p2pcall.cli import main
from p2pcall.cli.qr import BORDER, qr_lines
from p2pcall.env import Env
from p2pcall.proto.handshake.safety_number import safety_number
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home, write_atomic
from p2pcall.store.identity import fingerprint, load_or_create

FINGERPRINT = re.compile(r"([a-z2-7]{4}-){7}[a-z2-7]{4}")
KEYS = {"bob": bytes(range(32)), "Ève Müller": bytes(range(1, 33))}


@pytest.fixture
def known(home: Path) -> Contacts:
    """Two people."""
    contacts = Contacts(Home.at(home))
    for number, (name, key) in enumerate(KEYS.items()):
        contacts.pin(name, key, 1_700_000_000 + number)
    contacts.verify("bob", KEYS["bob"])
    return contacts


def test_who_i_am_stays_who_i_am(home: Path) -> None:
    first = run("id")
    found = FINGERPRINT.search(first.out)
    assert first.exit == 0
    assert found is not None
    assert run("id").out == first.out
    (row,) = run("id", "--json").rows
    assert row["v"] == 1
    assert row["fingerprint"] == found[0]
    assert row["name"] in first.out
    assert oct((home / "identity.key").stat().st_mode)[-4:] == "0600"


def test_my_key_is_there_to_be_compared(home: Path) -> None:
    (row,) = run("id", "--json").rows
    public = load_or_create(Home.at(home), os.urandom).public
    scheme, version, key = row["uri"].split("/")
    assert (scheme, version) == ("p2pcall:id", "1")
    assert base64.b32decode(key.upper() + "====") == public
    assert row["uri"] in run("id").out


def test_another_home_is_somebody_else(tmp_path: Path) -> None:
    mine, other = run("id"), run("id", "--home", str(tmp_path / "other"))
    assert FINGERPRINT.findall(mine.out) != FINGERPRINT.findall(other.out) or mine.out != other.out
    assert (tmp_path / "other" / "identity.key").exists()


def test_nobody_is_known_at_first() -> None:
    ran = run("contacts", "list")
    assert (ran.exit, ran.err) == (0, "")
    assert "no contacts" in ran.out
    assert run("contacts", "list", "--json").out == ""


def test_the_people_i_know(known: Contacts) -> None:
    lines = run("contacts", "list").out.splitlines()
    assert len(lines) == 3
    for (name, key), line, state in zip(KEYS.items(), lines[1:], ("verified", "not verified"), strict=True):
        assert all(part in line for part in (name, fingerprint(key), state, "2023-11-14"))
    rows = run("contacts", "list", "--json").rows
    assert [(row["name"], row["fingerprint"], row["verified"]) for row in rows] == [
        ("bob", fingerprint(KEYS["bob"]), True),
        ("Ève Müller", fingerprint(KEYS["Ève Müller"]), False),
    ]


def test_one_of_them_with_the_number_to_compare(home: Path, known: Contacts) -> None:
    ran = run("contacts", "show", "BOB")
    assert (ran.exit, ran.err) == (0, "")
    number = safety_number(load_or_create(Home.at(home), os.urandom).public, KEYS["bob"])
    lines = {line[:15].strip(): line[15:] for line in ran.out.splitlines()}
    assert lines["name"] == "bob"
    assert lines["known"] == "verified"
    assert lines["since"] == "2023-11-14"
    assert lines["fingerprint"] == fingerprint(KEYS["bob"])
    assert lines["safety number"] == " ".join(number[:6])
    assert lines[""] == " ".join(number[6:])
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "not verified" in run("contacts", "show", "ève müller").out
    (row,) = run("contacts", "show", "bob", "--json").rows
    assert row == {
        "v": 1,
        "name": "bob",
        "fingerprint": fingerprint(KEYS["bob"]),
        "safety_number": " ".join(number),
        "uri": "p2pcall:safety/1/" + "".join(number),
        "added": 1_700_000_000,
        "verified": True,
        "blocked": False,
        "allowed": ["ring", "presence"],
        "code": False,
        "locked_s": 0,
        "safe_word": False,
    }


def test_both_sides_show_the_same_number(tmp_path: Path) -> None:
    homes = {name: Home.at(tmp_path / name) for name in ("alice", "bob")}
    keys = {name: load_or_create(home, os.urandom).public for name, home in homes.items()}
    shown = []
    for me, other in (("alice", "bob"), ("bob", "alice")):
        Contacts(homes[me]).pin(other, keys[other], 0)
        (row,) = run("contacts", "show", other, "--json", "--home", str(tmp_path / me)).rows
        shown.append((row["safety_number"], row["uri"]))
    assert shown[0] == shown[1]


def test_nobody_of_that_name_can_be_shown(home: Path) -> None:
    assert_told(run("contacts", "show", "bob"), 3, "there is no contact bob", "p2pcall contacts list")
    assert not (home / "identity.key").exists()


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`at_a_terminal("id", columns=80, TERM="xterm")`: what is written."""

    def show(*argv: str, columns: int = 80, **environ: str) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        out = Terminal()
        wanted = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | environ
        env = Env(io.StringIO(), out, io.StringIO(), dict(os.environ) | wanted)
        assert main(argv, env) == 0
        return out.getvalue()

    return show


@pytest.mark.parametrize("columns", [60, 50])
def test_a_fingerprint_in_a_list_is_not_cut_in_a_narrow_terminal(
    home: Path, at_a_terminal: Callable[..., str], columns: int
) -> None:
    Contacts(Home.at(home)).pin("bob", BOB, 1.0)
    lines = at_a_terminal("contacts", "list", columns=columns).splitlines()
    assert "".join(line.split()[-1] for line in lines[1:]) == fingerprint(BOB)


QR_ROWS = 19
"""Of 33 modules with a border of two, two a row."""


def modules(lines: list[str], dark: str) -> list[list[int]]:
    """The modules of drawn lines, two rows a line; `dark` is the sign whose both modules are dark."""
    signs = {" ": (1, 1), "█": (0, 0), "▄": (1, 0), "▀": (0, 1)}
    if dark == "█":
        signs = {sign: (1 - upper, 1 - lower) for sign, (upper, lower) in signs.items()}
    return [[signs[sign][half] for sign in line] for line in lines for half in (0, 1)]


@pytest.mark.parametrize("colours", [True, False])
def test_a_qr_code_is_drawn_module_by_module(colours: bool) -> None:
    import segno

    uri = "p2pcall:safety/1/" + "0123456789" * 6
    lines = qr_lines(uri, colours=colours)
    if colours:
        assert all(line.startswith("\x1b[38;5;16;48;5;231m") and line.endswith("\x1b[0m") for line in lines)
        lines = [line.removeprefix("\x1b[38;5;16;48;5;231m").removesuffix("\x1b[0m") for line in lines]
    drawn = modules(lines, "█" if colours else " ")
    code = segno.make(uri.upper(), error="m", micro=False)
    wanted = [list(map(int, row)) for row in code.matrix]
    side = len(wanted)
    assert code.mode == "alphanumeric"
    assert [row[BORDER:-BORDER] for row in drawn[BORDER : BORDER + side]] == wanted
    around = [*drawn[:BORDER], *drawn[BORDER + side :]]
    assert not any(map(any, around))
    assert not any(any(row[:BORDER] + row[-BORDER:]) for row in drawn)
    assert len(lines) == QR_ROWS


def test_a_terminal_gets_the_code_and_a_pipe_does_not(
    known: Contacts, at_a_terminal: Callable[..., str]
) -> None:
    for argv in (["id"], ["contacts", "show", "bob"]):
        assert not set("▀▄█\x1b") & set(run(*argv).out)
        shown = at_a_terminal(*argv)
        assert shown.count("\x1b[38;5;16;48;5;231m") == QR_ROWS
        assert shown.startswith(run(*argv).out)
        assert not set("▀▄█\x1b") & set(at_a_terminal(*argv, "--json"))


def test_where_a_code_cannot_be_drawn_there_is_none(at_a_terminal: Callable[..., str]) -> None:
    assert "█" not in at_a_terminal("id", columns=36)
    assert "█" in at_a_terminal("id", columns=37)
    assert "█" not in at_a_terminal("id", LC_ALL="C")
    assert "█" not in at_a_terminal("id", TERM="dumb")
    shown = at_a_terminal("id", NO_COLOR="1")
    assert "█" in shown
    assert "\x1b" not in shown


def test_somebody_is_forgotten(known: Contacts) -> None:
    ran = run("contacts", "remove", "ÈVE müller")
    assert (ran.exit, ran.out) == (0, "")
    assert "forgotten" in ran.err
    assert [contact.name for contact in known.all()] == ["bob"]
    assert_told(run("contacts", "remove", "Ève Müller"), 3, "p2pcall contacts list")


@pytest.mark.parametrize("name", ["store.db", "contacts.json"])
@pytest.mark.parametrize("text", [b"{", b"[]", b'{"version":9,"contacts":[]}', b"\x00\xff" * 4096])
def test_damaged_contacts_are_told_and_left_alone(home: Path, name: str, text: bytes) -> None:
    run("id")
    path = home / name
    path.write_bytes(text)
    path.chmod(0o600)
    for argv in (["contacts", "list"], ["contacts", "show", "bob"], ["contacts", "remove", "bob"]):
        assert_told(run(*argv), 8, str(path))
    assert path.read_bytes() == text


def test_a_name_in_an_older_file_cannot_steer_the_terminal(home: Path) -> None:
    row = {"key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "added": 1, "verified": False}
    document = {"version": 1, "contacts": [row | {"name": "bob\x1b[2J\u202e"}]}
    write_atomic(home / "contacts.json", json.dumps(document).encode())
    ran = run("contacts", "list")
    assert not set("\x1b\u202e") & set(ran.out + ran.err)
    ran = run("contacts", "show", "bob\x1b[2J\u202e")
    assert not set("\x1b\u202e") & set(ran.out + ran.err)


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    run("id")
    (home / "identity.key").chmod(0o644)
    assert_told(run("id"), 8, "chmod 600", "identity.key")


def test_a_damaged_key_is_told_and_left_alone(home: Path) -> None:
    run("id")
    path = home / "identity.key"
    path.write_text("p2pcall-key-1:AAAA\n")
    assert_told(run("id"), 8, "identity.key")
    assert path.read_text() == "p2pcall-key-1:AAAA\n"


def test_a_home_that_is_a_file_is_told(home: Path) -> None:
    home.write_text("")
    assert_told(run("id"), 8, str(home))


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    closed = tmp_path if os.geteuid() else Path("/sys")  # where root cannot write either
    assert_told(run("id", "--home", str(closed / "home")), 8, str(closed))
