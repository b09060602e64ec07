"""The passphrase at a terminal: real processes in pseudo-terminals, as a person sees them."""

import base64
import os
import shlex
import signal
import termios
from pathlib import Path

import pytest
from harness import P2P, PROGRAM
from pairs import LISTEN, NO_MEDIA, Start

from p2pcall.store.backup import back_up
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, keeping
from p2pcall.store.identity_file import Keeping, replace_identity, under_passphrase
from p2pcall.store.opener import IdentityOpener
from p2pcall.store.seal import Cost

pytestmark = pytest.mark.terminal

PASSPHRASE = "correct horse battery"
PRIVATE = bytes(range(32))
BOB = bytes([1] * 32)
WHO = Identity.of(PRIVATE).fingerprint
TERMINAL = (100, 24)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A home whose key is sealed."""
    place = Home.at(tmp_path / "sealed")
    with place.lock():
        file = under_passphrase(PRIVATE, PASSPHRASE.encode(), os.urandom, Cost(3, 128 << 10))
        replace_identity(place, file)
    return tmp_path / "sealed"


def asks(process: P2P, what: str, answer: str) -> None:
    process.wait_screen(what)
    process.send(answer)


def test_a_person_is_asked_once_and_what_they_type_is_not_shown(p2p: Start, sealed: Path) -> None:
    process = p2p("id", home=sealed, terminal=TERMINAL)
    process.wait_screen("passphrase of ")
    before = process.terminal_modes()
    process.send(PASSPHRASE + "\r")
    process.wait_screen(WHO, "sealed under your passphrase")
    assert process.wait_exit() == 0
    assert PASSPHRASE not in process.terminal_output.decode()
    assert process.terminal_output.count(b"passphrase of ") == 1
    assert b"opening the private key" in process.terminal_output
    assert "opening the private key" not in process.screen_text, "it leaves nothing behind"
    assert before != process.terminal_modes(), "the echo is back"


def asked(process: P2P, times: int) -> None:
    """Wait until it has asked so often."""
    process.wait_until(lambda: process.terminal_output.count(b"passphrase of /") >= times, "question")


@pytest.mark.parametrize("argv", [("id",), ("id", "rotate")])
def test_a_mistyped_passphrase_is_asked_for_again_three_times_in_all(
    p2p: Start, sealed: Path, argv: tuple[str, ...]
) -> None:
    process = p2p(*argv, home=sealed, terminal=TERMINAL)
    for number in (1, 2, 3):
        asked(process, number)
        process.send("something else\r")
    assert process.wait_exit() == 8
    shown = process.terminal_output.decode()
    assert shown.count("passphrase of /") == 4, "three questions and the error"
    assert shown.count("opening the private key |") == 3, "each try is seen to take its time"
    assert "that is not the passphrase of " in process.screen_text
    assert "something else" not in shown


@pytest.mark.parametrize("argv", [("id",), ("id", "rotate"), ("id", "restore", "backup", "--force")])
def test_the_right_passphrase_opens_after_two_wrong_ones(
    p2p: Start, sealed: Path, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    if "backup" in argv:
        argv = tuple(str(tmp_path / "backup") if one == "backup" else one for one in argv)
        opener = IdentityOpener(lambda path: PASSPHRASE.encode())
        place = Home(sealed, sealed, opener)
        back_up(place, tmp_path / "backup", PASSPHRASE.encode(), os.urandom, Cost(1, 8), 1.0, force=False)
    process = p2p(*argv, home=sealed, terminal=TERMINAL)
    for number in (1, 2, 3):
        asked(process, number)
        process.send((PASSPHRASE if number == 3 else "something else") + "\r")
    assert process.wait_exit() == 0
    assert process.terminal_output.count(b"that is not the passphrase\r\n") == 2


def test_a_wrong_passphrase_from_a_file_is_tried_once(p2p: Start, sealed: Path, tmp_path: Path) -> None:
    file = tmp_path / "wrong"
    file.write_text("something else\n")
    file.chmod(0o600)
    process = p2p("id", "--passphrase-file", str(file), home=sealed, terminal=TERMINAL)
    assert process.wait_exit() == 8
    assert process.terminal_output.count(b"opening the private key |") == 1


def echoes(process: P2P) -> bool:
    return bool(process.terminal_modes()[3] & termios.ECHO)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_at_the_prompt_ends_it_and_the_echo_is_back(
    p2p: Start, sealed: Path, number: signal.Signals
) -> None:
    process = p2p("id", home=sealed, terminal=TERMINAL)
    process.wait_screen("passphrase of ")
    assert not echoes(process)
    process.send("half of it")
    process.signal(number)
    assert process.wait_exit() == (130 if number is signal.SIGINT else -number)
    assert echoes(process)
    assert b"half of it" not in process.terminal_output


def test_ctrl_z_at_the_prompt_gives_the_echo_back_and_who_comes_back_is_asked_again(
    p2p: Start, sealed: Path
) -> None:
    """The shell that runs it has job control, and `fg` goes on."""
    script = f"set -m; {shlex.join(PROGRAM)} id; stty -a; fg"
    shell = p2p("-c", script, home=sealed, terminal=TERMINAL, program=["bash"])
    asks(shell, "passphrase of ", "half of it\x1a")
    shell.wait_until(lambda: b" echo " in shell.terminal_output, "echo")
    asked(shell, 2)
    assert not echoes(shell)
    shell.send(PASSPHRASE + "\r")
    shell.wait_screen(WHO)
    shell.wait_exit()
    assert b"half of it" not in shell.terminal_output
    assert PASSPHRASE.encode() not in shell.terminal_output


@pytest.mark.parametrize("key", ["\x03", "half of it\x03"])
def test_ctrl_c_at_the_prompt_ends_it_and_the_echo_is_back(p2p: Start, sealed: Path, key: str) -> None:
    script = f"trap : INT; {shlex.join(PROGRAM)} id; echo ended $?; stty -a"
    shell = p2p("-c", script, home=sealed, terminal=TERMINAL, program=["sh"])
    asks(shell, "passphrase of ", key)
    shell.wait_until(lambda: b" echo " in shell.terminal_output, "echo")
    shell.wait_exit()
    assert b"half of it" not in shell.terminal_output


def test_typing_before_the_question_is_no_answer(p2p: Start, sealed: Path) -> None:
    process = p2p("id", home=sealed, terminal=TERMINAL)
    process.send("too early\r")
    asks(process, "passphrase of ", PASSPHRASE + "\r")
    assert process.wait_exit() == 0


def test_a_pipe_beside_the_terminal_does_not_keep_the_question_away(p2p: Start, sealed: Path) -> None:
    """As `p2pcall id --json | jq` has it."""
    process = p2p("id", "--json", home=sealed, terminal=TERMINAL)
    asks(process, "passphrase of ", PASSPHRASE + "\r")
    assert process.wait_exit() == 0
    assert process.stdout.count(b"\n") == 1
    assert WHO.encode() in process.stdout


def test_a_listener_asks_before_it_listens(p2p: Start, sealed: Path) -> None:
    process = p2p(*LISTEN, *NO_MEDIA, home=sealed, terminal=TERMINAL)
    asks(process, "passphrase of ", PASSPHRASE + "\r")
    process.wait_screen("waiting for calls as ")
    assert process.terminal_output.count(b"passphrase of ") == 1


def test_one_question_opens_the_key_and_the_contacts(p2p: Start, sealed: Path) -> None:
    Contacts(Home(sealed, sealed, IdentityOpener(lambda path: PASSPHRASE.encode()))).pin("bob", BOB, 1.0)
    for argv, shown in (
        (("contacts", "list"), "bob"),
        ((*LISTEN, *NO_MEDIA), "waiting for calls of contacts"),
    ):
        process = p2p(*argv, home=sealed, terminal=TERMINAL)
        asks(process, "passphrase of ", PASSPHRASE + "\r")
        process.wait_screen(shown)
        assert process.terminal_output.count(b"passphrase of ") == 1
        assert process.terminal_output.count(b"\r\x1b[K") == 1, "and one key is made from it"


def test_a_new_passphrase_is_typed_twice(p2p: Start, tmp_path: Path) -> None:
    place = tmp_path / "new"
    process = p2p("id", "passphrase", home=place, terminal=TERMINAL)
    asks(process, "new passphrase for your key:", PASSPHRASE + "\r")
    asks(process, "the same again:", "correct horse batterx\r")
    assert process.wait_exit() == 2
    assert keeping(Home.at(place)) is Keeping.PLAIN
    process = p2p("id", "passphrase", home=place, terminal=TERMINAL)
    asks(process, "new passphrase for your key:", PASSPHRASE + "\r")
    asks(process, "the same again:", PASSPHRASE + "\r")
    process.wait_screen("your key is kept sealed under your passphrase")
    assert process.wait_exit() == 0
    assert keeping(Home.at(place)) is Keeping.PASSPHRASE
    assert PASSPHRASE not in process.terminal_output.decode()
    assert base64.b64encode(PRIVATE) not in (place / "identity.key").read_bytes()


def test_contacts_go_to_another_home_under_a_passphrase_that_is_typed(
    p2p: Start, sealed: Path, tmp_path: Path
) -> None:
    """The passphrase of the key is asked for first; that of the file is another one, and typed twice."""
    opener = IdentityOpener(lambda path: PASSPHRASE.encode())
    Contacts(Home(sealed, sealed, opener)).pin("bob", BOB, 1.0)
    process = p2p("contacts", "export", str(tmp_path / "file"), home=sealed, terminal=TERMINAL)
    asks(process, "passphrase of ", PASSPHRASE + "\r")
    asks(process, "new passphrase for the file of contacts:", "another one\r")
    asks(process, "the same again:", "another one\r")
    assert process.wait_exit() == 0
    assert "has 1 contact and 0 blocks" in process.screen_text
    taken = p2p("contacts", "import", str(tmp_path / "file"), name="other", terminal=TERMINAL)
    asks(taken, "passphrase of ", "another one\r")
    assert taken.wait_exit() == 0
    assert "1 contact and 0 blocks added" in taken.screen_text
    assert "another one" not in (process.terminal_output + taken.terminal_output).decode()
    assert [one.name for one in Contacts(Home.at(tmp_path / "other")).all()] == ["bob"]
