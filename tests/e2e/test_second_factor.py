"""Codes and safe words between real processes: from files and programs for scripts, at a terminal for a person."""

import json
import signal
import sys
import termios
import time
from base64 import b32decode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pairs import DIAL, NO_MEDIA, Start, dialling, knows, listening

from p2pcall.factor.passcode import CODE_STEP_S, code_at
from p2pcall.factor.safe_word import SafeWord
from p2pcall.store.contacts import Contacts
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home


def program(secret: str, *, late: int = 0) -> str:
    """What an authenticator app of alice's shows, as a command; `late`: by a clock that is so many steps ahead."""
    code = (
        "import base64,sys,time; from p2pcall.factor.passcode import *; "
        f"print(code_at(base64.b32decode(sys.argv[1]), int(time.time() // CODE_STEP_S) + {late}).decode())"
    )
    return f"{sys.executable} -c '{code}' {secret}"


def enrolled(p2p: Start, place: Path) -> str:
    """Bob wants codes of alice, a contact; the secret that her app has."""
    knows(place, "bob", "alice")
    knows(place, "alice", "bob")
    process = p2p("contacts", "require-code", "alice", "--json", home=place / "bob")
    assert process.wait_exit() == 0, process.report()
    secret: str = parse_qs(urlsplit(json.loads(process.stdout)["uri"]).query)["secret"][0]
    assert secret
    return secret


def test_a_script_rings_with_the_code_that_a_program_prints(p2p: Start, tmp_path: Path) -> None:
    secret = enrolled(p2p, tmp_path)
    bob, target = listening(p2p, "--answer", "contacts", "--once")
    alice = dialling(p2p, target, "--pin-command", program(secret), "--max-duration", "0.5")
    assert alice.wait_event("code-required")["why"] == "asked"
    assert alice.wait_exit() == 0, alice.report()
    assert bob.wait_exit() == 0, bob.report()
    assert secret not in bob.stderr_text + alice.stderr_text


def test_a_wrong_code_of_a_file_exits_with_5_and_rings_nobody(p2p: Start, tmp_path: Path) -> None:
    enrolled(p2p, tmp_path)
    (tmp_path / "code").write_text("000000\n")
    bob, target = listening(p2p, "--answer", "contacts")
    alice = dialling(p2p, target, "--pin-file", str(tmp_path / "code"))
    assert alice.wait_exit() == 5, alice.report()
    assert alice.wait_event("ended")["reason"] == "wrong-code"
    assert bob.wait_event("missed")["name"] == "alice"
    assert not bob.all_events("incoming")
    assert not alice.all_events("ringing")


def test_a_clock_wrong_by_minutes_is_named_on_both_sides(p2p: Start, tmp_path: Path) -> None:
    secret = enrolled(p2p, tmp_path)
    bob, target = listening(p2p, "--answer", "contacts")
    alice = dialling(p2p, target, "--pin-command", program(secret, late=10))
    assert alice.wait_exit() == 5, alice.report()
    assert alice.wait_event("ended")["reason"] == "wrong-clock"
    seconds = alice.wait_event("code-required", why="clock")["seconds"]
    assert isinstance(seconds, int)
    assert abs(seconds - 10 * CODE_STEP_S) <= CODE_STEP_S
    assert "ahead of" in str(bob.wait_event("warning", slug="wrong-clock")["text"])


def test_a_program_that_fails_or_prints_no_code_is_told_without_its_words(p2p: Start, tmp_path: Path) -> None:
    enrolled(p2p, tmp_path)
    _, target = listening(p2p, "--answer", "contacts")
    for command, told in (
        ("false", "exit status 1"),
        ("echo secret words", "six digits"),
        ("/no/such", "cannot run"),
    ):
        alice = dialling(p2p, target, "--pin-command", command)
        assert alice.wait_exit() == 8, alice.report()
        assert told in alice.stderr_text
        assert "secret words" not in alice.stderr_text.replace(command, "")


def test_without_a_terminal_nobody_is_asked_and_the_exit_is_5(p2p: Start, tmp_path: Path) -> None:
    enrolled(p2p, tmp_path)
    _, target = listening(p2p, "--answer", "contacts")
    alice = dialling(p2p, target)
    assert alice.wait_exit() == 5, alice.report()
    assert alice.wait_event("ended")["reason"] == "no-code"


def test_a_lock_outlives_the_listener(p2p: Start, tmp_path: Path) -> None:
    secret = enrolled(p2p, tmp_path)
    (tmp_path / "code").write_text("000000\n")
    bob, target = listening(p2p, "--answer", "contacts")
    for _ in range(5):
        dialling(p2p, target, "--pin-file", str(tmp_path / "code")).wait_exit()
    bob.stop()
    _, target = listening(p2p, "--answer", "contacts")
    alice = dialling(p2p, target, "--pin-command", program(secret))
    assert alice.wait_exit() == 5, alice.report()
    assert alice.wait_event("ended")["reason"] == "code-locked"
    assert Contacts(Home.at(tmp_path / "bob")).by_name("alice")
    shown = p2p("contacts", "show", "alice", "--json", home=tmp_path / "bob")
    assert shown.wait_exit() == 0
    assert 0 < json.loads(shown.stdout)["locked_s"] <= 60


@pytest.mark.terminal
def test_a_person_is_asked_at_the_terminal_before_it_rings(p2p: Start, tmp_path: Path) -> None:
    secret = enrolled(p2p, tmp_path)
    bob, target = listening(p2p, "--answer", "contacts", "--once")
    alice = p2p(*DIAL, "--name", "alice", "--plain", *NO_MEDIA, target, name="alice", terminal=(80, 24))
    alice.wait_screen("bob wants a code", "code for bob ([q] none):")
    alice.send("000000\r")
    alice.wait_screen("the code is wrong, 2 left to try")
    assert not bob.all_events("incoming")
    alice.wait_until(lambda: alice.screen_text.count("code for bob") == 2, "second question")
    alice.send(code_at(b32decode(secret), int(time.time() // CODE_STEP_S)).decode() + "\r")
    bob.wait_event("connected")
    alice.wait_screen("connected with bob", "delay ")
    alice.send("q")
    assert alice.wait_exit() == 0, alice.report()


@pytest.mark.terminal
@pytest.mark.parametrize(("theirs", "result"), [("Blue giraffe", "same"), ("red giraffe", "different")])
def test_the_key_of_the_safe_word_shows_both_people_whether_they_know_it(
    p2p: Start, tmp_path: Path, theirs: str, result: str
) -> None:
    knows(tmp_path, "bob", "alice")
    knows(tmp_path, "alice", "bob")
    for who, whom, word in (("alice", "bob", "blue giraffe"), ("bob", "alice", theirs)):
        (tmp_path / "word").write_text(word)
        kept = p2p("contacts", "safeword", whom, "--word-file", str(tmp_path / "word"), home=tmp_path / who)
        assert kept.wait_exit() == 0, kept.report()
    bob, target = listening(p2p, "--answer", "contacts", "--once", using=NO_MEDIA)
    alice = dialling(p2p, target, terminal=(100, 30))
    alice.wait_event("stats")
    alice.send("k")
    assert alice.wait_event("safe-word")["result"] == result
    assert bob.wait_event("safe-word")["result"] == result
    alice.wait_screen("knows the safe word" if result == "same" else "does not know the safe word")
    alice.send("q")
    assert alice.wait_exit() == 0, alice.report()


@pytest.mark.terminal
def test_a_signal_while_a_safe_word_is_typed_leaves_the_echo_on(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "alice", "bob")
    process = p2p("contacts", "safeword", "bob", home=tmp_path / "alice", terminal=(80, 24))
    process.wait_screen("safe word with bob (not shown):")
    assert not process.terminal_modes()[3] & termios.ECHO
    process.signal(signal.SIGTERM)
    assert process.wait_exit() == -signal.SIGTERM
    assert process.terminal_modes()[3] & termios.ECHO


@pytest.mark.terminal
def test_a_safe_word_typed_at_the_terminal_is_not_shown(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "alice", "bob")
    process = p2p("contacts", "safeword", "bob", home=tmp_path / "alice", terminal=(80, 24))
    process.wait_screen("safe word with bob (not shown):")
    process.send("blue giraffe\r")
    process.wait_screen("the same again:")
    process.send("blue giraffe\r")
    assert process.wait_exit() == 0, process.report()
    assert "giraffe" not in process.screen_text
    contacts = Contacts(Home.at(tmp_path / "alice"))
    contact = contacts.by_name("bob")
    assert contact is not None
    assert Factors(contacts.vault).word(contact.public) == SafeWord("blue giraffe")
