"""Calls between people at terminals: the question, the picture, keys, plain lines, and terminals that stay in order.

Real processes in pseudo-terminals; what a person would see is read off an emulated screen.
"""

import re
import shlex
import signal
import sys
from pathlib import Path

import pytest
from harness import P2P, PROGRAM, ROOT
from pairs import DIAL, NO_MEDIA, Start, dialling, in_call, listening, media
from person import (
    QUESTION,
    QUESTION_WITHOUT_CAMERA,
    SMALL,
    assert_restored,
    calling,
    canvas,
    full_pipe,
    keep_nobody,
    left_on,
    pixel_of,
    wait_card,
    wait_moving,
    wait_no_card,
    wait_status,
    wait_told,
    waiting,
)

pytestmark = pytest.mark.terminal

CARD = media("tone", video_in="test", video_out="auto")
PLAIN_TEXT = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*")
Y4M = b"YUV4MPEG2 W160 H120 F15:1 Ip A1:1 C420jpeg\n" + 10 * (b"FRAME\n" + bytes(160 * 120 * 3 // 2))
PASTED = "\x1b[200~a\x1b[201~"


# ---- the question


def test_it_rings_says_who_calls_and_asks(p2p: Start) -> None:
    bob, target = waiting(p2p, using=CARD)
    alice = calling(p2p, target, using=CARD)
    alice.wait_screen("it rings")
    bob.wait_screen("alice (not verified, ", "calling: voice and picture", *QUESTION)
    bob.wait_until(lambda: b"\a" in bob.terminal_output, "bell")
    bob.send(f"x\x1b[A{PASTED} d")
    assert alice.wait_exit() == 4
    assert "the call was declined" in alice.screen_text
    assert b"\x1b" not in alice.terminal_output
    bob.wait_screen("the call was declined")
    assert b"\x1b[?1049h" not in bob.terminal_output, "no picture"
    assert bob.exit_code is None


def test_the_microphone_is_off_until_the_answer(p2p: Start) -> None:
    with full_pipe(bytes(4096)) as microphone:
        bob, target = waiting(p2p, using=media("-", video_in="test"), stdin=microphone.read_end)
        for answer, code in (("d", 4), ("a", 0)):
            alice = calling(p2p, target, "--max-duration", "1", using=CARD, name=f"alice{code}")
            bob.wait_screen(f"alice{code} (not verified, ", *QUESTION)
            assert microphone.untouched
            bob.send(answer)
            if answer == "a":
                microphone.wait_read()
            if answer == "a":
                keep_nobody(alice)
            assert alice.wait_exit() == code
            assert microphone.untouched == (answer == "d")


def test_the_camera_is_off_until_the_answer_and_with_an_answer_by_voice(p2p: Start) -> None:
    with full_pipe(Y4M) as camera:
        using = media("tone", video_in="-")
        bob, target = waiting(p2p, "--reach", "anyone", using=using, stdin=camera.read_end)
        for answer in "dav":
            alice = dialling(
                p2p, target, "--max-duration", "1", using=media("tone", video_out="auto"), name=answer
            )
            bob.wait_screen(f"{answer} (not verified, ", "calling: voice", *QUESTION)
            assert camera.untouched
            bob.send(answer)
            if answer == "v":
                camera.wait_read()
            assert alice.wait_exit() == (4 if answer == "d" else 0)
            assert camera.untouched == (answer != "v")


# ---- the call


def test_an_answer_by_voice_shows_the_caller_and_no_picture_of_oneself(p2p: Start) -> None:
    bob, target = waiting(p2p, using=CARD)
    alice = calling(p2p, target, using=CARD)
    bob.wait_screen(*QUESTION)
    bob.send("a")
    wait_card(bob)
    wait_status(bob, "camera off")
    alice.wait_screen("bob", "camera off")
    assert not canvas(alice).shows_card(pixel_of(alice))
    bob.send("v")
    wait_card(alice)
    wait_status(bob, "camera off", there=False)


def test_both_see_each_other_and_the_keys_work(p2p: Start) -> None:
    bob, target = waiting(p2p, using=CARD)
    modes = bob.terminal_modes()
    alice = calling(p2p, target, using=CARD, terminal=(112, 30))
    bob.wait_screen(*QUESTION)
    bob.send("v")
    wait_card(alice)
    wait_card(bob)

    alice.send("m")
    wait_status(alice, "muted")
    wait_status(bob, "other muted")
    alice.send("m")
    wait_status(alice, "muted", there=False)
    wait_status(bob, "muted", there=False)

    alice.send("v")
    wait_no_card(bob)
    bob.wait_screen("alice", "camera off")
    wait_moving(alice)
    alice.send("v")
    wait_card(bob)

    figures, keys = ("figures", "round trip", "picture", "protocol", "words"), ("keys", "end the call")
    for process in (alice, bob):
        process.send("s")
        process.wait_screen(*figures)
    assert words(alice) == words(bob)
    alice.send("?")
    alice.wait_screen(*keys)
    assert "round trip" not in alice.screen_text
    alice.send("?")
    alice.wait_until(lambda: "end the call" not in alice.screen_text, "end of the help")

    alice.send("w")
    alice.wait_until(lambda: "▄" not in alice.screen_text and "@@" in alice.screen_text, "characters")
    alice.send("w")
    wait_card(alice)
    for process, other in ((alice, " bob "), (bob, " alice ")):
        wait_status(process, f"{other}· not verified · ")
    wait_status(alice, "· e2e AES-")

    bob.send("q")
    keep_nobody(alice)
    assert alice.wait_exit() == 0
    wait_told(alice, "bob hung up after 0:")
    wait_told(bob, "hung up after 0:")
    assert b"alice hung up" not in bob.terminal_output
    assert bob.exit_code is None
    keep_nobody(bob)
    bob.wait_until(lambda: bob.terminal_modes() == modes and not left_on(bob), "terminal as it was")
    assert_restored(bob, modes)


def words(process: P2P) -> list[str]:
    """The words to compare, read from the box of figures."""
    rows = [line.partition("│")[2].partition("│")[0].split() for line in process.screen_text.splitlines()]
    at = next(number for number, row in enumerate(rows) if row[:1] == ["words"])
    return [*rows[at][1:], *rows[at + 1]]


def test_after_q_the_next_caller_is_asked_about_and_ctrl_c_ends_it_all(p2p: Start) -> None:
    bob, target = waiting(p2p, "--reach", "anyone", using=CARD)
    modes = bob.terminal_modes()
    for name, key in (("alice", "q"), ("carol", "\x03")):
        caller = dialling(p2p, target, name=name)
        bob.wait_screen(f"{name} (not verified, ", *QUESTION)
        bob.send("a")
        wait_status(bob, f" {name} ")
        bob.send(key)
        assert caller.wait_exit() == 0
        assert caller.wait_event("ended")["reason"] == "hung-up"
    assert bob.wait_exit() == 0
    assert_restored(bob, modes)


def test_a_terminal_that_is_resized_is_drawn_anew_and_gets_another_picture(p2p: Start) -> None:
    """The screen is on the terminal, events are on a pipe: one does not disturb the other."""
    bob, target = listening(p2p, "--answer", "anyone", using=media("tone", video_in="test"))
    alice = dialling(p2p, target, using=media("tone", video_out="auto"), terminal=(120, 40))
    for size in ((120, 40), (80, 24), SMALL, (100, 30)):
        alice.resize(*size)
        wait_card(alice)
        wait_moving(alice)
        wait_status(alice, " bob ")
        now = canvas(alice)
        while not now.fits(alice.wait_event("stats")["video_size"] or "0x0"):
            pass
        assert "bob" not in "".join(alice.screen.lines[:-1] if alice.screen else [])
    alice.send("q")
    assert alice.wait_exit() == 0
    assert all(line.startswith(b'{"v":1,') for line in alice.stdout.splitlines())
    assert bob.wait_event("ended")["reason"] == "hung-up"


# ---- plain lines


@pytest.mark.parametrize("plain", ["--plain", "TERM=dumb"])
def test_plain_lines_have_no_escape_sequences(p2p: Start, plain: str) -> None:
    """Nothing moves the cursor, nothing is coloured: not in the question, not in the call, not after it."""
    options, env = ([plain], {}) if plain.startswith("--") else ([], dict([plain.split("=")]))
    bob, target = waiting(p2p, *options, using=CARD, env=env)
    modes = bob.terminal_modes()
    alice = dialling(p2p, target, using=media("tone", video_in="test"))
    bob.wait_screen("alice (not verified, ", *QUESTION)
    bob.send("v")
    bob.wait_screen("alice (not verified), 0:01, delay ", "camera on")
    for key, told in (
        ("m", "you: microphone off"),
        ("s", "figures: round trip "),
        ("?", "keys: m microphone"),
    ):
        bob.send(key)
        bob.wait_screen(told)
    assert alice.wait_event("media", side="remote")["audio"] is False
    bob.wait_screen("alice (not verified), 0:02, delay ", "muted")
    assert alice.all_events("stats")[-1]["rx_kbps"] > 0
    bob.send("q")
    assert alice.wait_exit() == 0
    bob.wait_screen("hung up after 0:")
    bob.signal(signal.SIGTERM)
    assert bob.wait_exit() == 0
    assert_restored(bob, modes)
    assert PLAIN_TEXT.fullmatch(bob.terminal_output.replace(b"\a", b""))


# ---- events


def test_events_and_picture_do_not_share_a_terminal(p2p: Start) -> None:
    """Standard output is the terminal: lines of JSON, and nothing is drawn over them."""
    _, target = listening(p2p, "--answer", "anyone", using=media("tone", video_in="test"))
    dial = [
        sys.executable,
        "-m",
        "p2pcall",
        *DIAL,
        target,
        "--json",
        *media("tone", video_in="test", video_out="auto"),
    ]
    alice = p2p(shlex.join(dial), program=("sh", "-c"), terminal=(80, 24), name="alice")
    alice.wait_until(lambda: alice.terminal_output.count(b'"event":"stats"') == 2, "two seconds of a call")
    alice.send("\x03")
    alice.wait_until(lambda: b'"event":"ended"' in alice.terminal_output, "end of the call")
    lines = bytes(alice.terminal_output).replace(b"^C", b"").splitlines()
    assert all(line.startswith(b'{"v":1,') and line.endswith(b"}") for line in lines), lines


def test_one_line_is_enough_for_head(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "anyone")
    dial = shlex.join([*PROGRAM, *DIAL, target, "--json", *NO_MEDIA])
    script = f'{dial} | head -1; echo "status ${{PIPESTATUS[*]}}"'
    alice = p2p(script, program=("bash", "-c"), terminal=(80, 24), name="alice")
    modes = alice.terminal_modes()
    assert alice.wait_exit() == 0
    lines = bytes(alice.terminal_output).splitlines()
    assert lines[0].startswith(b'{"v":1,"event":"dialling",')
    assert lines[-1].endswith(b"status 0 0")
    assert b'"event":"connected"' not in alice.terminal_output
    assert_restored(alice, modes)
    assert bob.wait_event("ended")["reason"] == "hung-up"


# ---- a terminal that stays in order

WAYS_OUT = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("number", WAYS_OUT, ids=lambda number: number.name)
def test_a_listener_that_ends_in_a_call_gives_the_terminal_back(p2p: Start, number: signal.Signals) -> None:
    bob, target = waiting(p2p, using=CARD)
    modes = bob.terminal_modes()
    alice = dialling(p2p, target, using=media("tone", video_in="test"))
    bob.wait_screen(*QUESTION)
    bob.send("v")
    wait_card(bob)
    bob.signal(number)
    killed = number == signal.SIGKILL
    assert bob.wait_exit() == (-number if killed else 0)
    assert_restored(bob, modes)
    if not killed:
        assert alice.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_listener_that_ends_while_it_asks_gives_the_terminal_back(
    p2p: Start, number: signal.Signals
) -> None:
    bob, target = waiting(p2p)
    modes = bob.terminal_modes()
    alice = dialling(p2p, target)
    bob.wait_screen(*QUESTION_WITHOUT_CAMERA)
    assert bob.terminal_modes() != modes
    bob.signal(number)
    killed = number == signal.SIGKILL
    assert bob.wait_exit() in ((-number,) if killed else (0, 130))
    assert_restored(bob, modes)
    if not killed:
        assert alice.wait_exit() == 4


BROKEN = """
import os
import {module} as module

def broken(*args):
    {deed}

module.{name} = broken
"""
RAISE = "raise RuntimeError('a bug')"


def crash(p2p: Start, tmp_path: Path, module: str, name: str, deed: str = RAISE) -> int:
    """The exit status of a process with a bug in a call; its terminal is as it was, and no traceback was on it.

    The bug is put in by a module that Python runs at its start. If the call lives for so long, keys are pressed.
    """
    (tmp_path / "sitecustomize.py").write_text(BROKEN.format(module=module, name=name, deed=deed))
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    bob, target = listening(p2p, "--answer", "anyone", using=CARD, terminal=(80, 24))
    alice = calling(p2p, target, using=CARD, env=env)
    modes = alice.terminal_modes()
    bob.wait_until(
        lambda: any(event["event"] in ("first-audio", "ended") for event in bob.events), "call, or its end"
    )
    alice.wait_until(lambda: b"\x1b[?1049h" in alice.terminal_output, "screen of its own")
    bob.send("m")
    alice.send("w")
    code = alice.wait_exit()
    assert_restored(alice, modes)
    assert b"Traceback" not in alice.terminal_output
    if code == 1:
        assert b"p2pcall: error: internal error: RuntimeError at " in alice.terminal_output
        assert bob.wait_event("ended")["reason"] == "hung-up"
    return code


@pytest.mark.parametrize(
    "module,name",
    [
        ("p2pcall.engine.mediastate", "RemoteMedia.on_flags"),
        ("p2pcall.engine.live", "LiveCall._tick"),
        ("p2pcall.view.screen", "Screen.next_mode"),
    ],
    ids=["call", "timer", "key"],
)
def test_a_bug_ends_the_call_and_gives_the_terminal_back(
    p2p: Start, tmp_path: Path, module: str, name: str
) -> None:
    assert crash(p2p, tmp_path, module, name) == 1


@pytest.mark.parametrize(
    "module,name",
    [("p2pcall.view.screen", "Screen.show"), ("p2pcall.device.drawn.testcard", "TestCard.draw")],
    ids=["playout", "capture"],
)
def test_a_bug_in_a_thread_does_so_too(p2p: Start, tmp_path: Path, module: str, name: str) -> None:
    assert crash(p2p, tmp_path, module, name) == 1


def test_a_crash_of_the_interpreter_gives_the_terminal_back(p2p: Start, tmp_path: Path) -> None:
    code = crash(p2p, tmp_path, "p2pcall.engine.live", "LiveCall._tick", "os.abort()")
    assert code == -signal.SIGABRT


def test_a_window_that_is_closed_ends_the_call(p2p: Start) -> None:
    call = in_call(p2p, listen=["--once"])
    call.alice.stop()
    assert call.bob.wait_exit() == 0
