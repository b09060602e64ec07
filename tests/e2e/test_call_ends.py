"""How calls end: signals, crashes, nobody there. The other side knows, exit codes are those of the contract."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from harness import P2P, PROGRAM
from pairs import DIAL, LISTEN, NO_MEDIA, Start, dialling, identity, in_call, listening
from person import QUESTION_WITHOUT_CAMERA, keep_nobody

NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
AT_ONCE_S = 2.0
ALTERNATE_ON, ALTERNATE_OFF = b"\x1b[?1049h", b"\x1b[?1049l"
LOST_S = 60.0
"""Silence after which a line is lost (p2pcall-protocol.7)."""


def reason(process: P2P) -> str:
    """Why the call ended, as this side tells it."""
    return str(process.wait_event("ended")["reason"])


@pytest.mark.parametrize(
    "side,number",
    [("alice", signal.SIGINT), *(("bob", number) for number in SIGNALS)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_signal_hangs_up_and_the_other_side_knows_at_once(
    p2p: Start, number: signal.Signals, side: str
) -> None:
    """The other signals to the dialler are below, in a terminal."""
    call = in_call(p2p, listen=["--once"])
    call.side(side).signal(number)
    assert call.side(side).wait_exit() == 0
    assert call.other(side).wait_exit() == 0
    here, there = call.side(side).wait_event("ended"), call.other(side).wait_event("ended")
    assert (here["reason"], here["exit"]) == ("signal", 0)
    assert (there["reason"], there["exit"]) == ("hung-up", 0)
    assert there["t"] - here["t"] < AT_ONCE_S
    assert call.alice.stderr == call.bob.stderr == b""


def test_a_crash_is_noticed_and_its_refused_datagrams_do_not_end_the_call_at_once(p2p: Start) -> None:
    """By day the listener dies, by night the dialler of another call as well. How long it takes: in virtual time."""
    calls = {side: in_call(p2p, listen=["--once"]) for side in (("alice", "bob") if NIGHTLY else ("bob",))}
    killed_at = {side: kill(call.side(side)) for side, call in calls.items()}
    for side, call in calls.items():
        assert call.other(side).wait_event("reconnecting")["call"] == call.alice_connected["call"]
        if not NIGHTLY:
            call.other(side).signal(signal.SIGTERM)
            assert call.other(side).wait_exit() == 0
            continue
        ended = call.other(side).wait_event("ended", timeout=LOST_S + 15)
        assert (ended["reason"], ended["exit"]) == ("lost", 7)
        assert LOST_S - 1 < ended["t"] - killed_at[side] < LOST_S + 2
        assert call.other(side).wait_exit() == 7


def kill(process: P2P) -> float:
    """End it without warning; when that was."""
    process.signal(signal.SIGKILL)
    assert process.wait_exit() == -signal.SIGKILL
    return time.time()


def test_the_listener_listens_on_after_a_lost_or_ended_call(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "anyone")
    for name in ("alice", "carol"):
        caller = dialling(p2p, target, "--max-duration", "0.5", name=name)
        bob.wait_event("incoming")
        assert caller.wait_exit() == 0
        assert reason(bob) == "max-duration"
    bob.signal(signal.SIGTERM)
    assert bob.wait_exit() == 0


def test_a_second_caller_hears_busy(p2p: Start, tmp_path: Path) -> None:
    call = in_call(p2p)
    target = call.alice.wait_event("dialling")["target"]
    carol = dialling(p2p, target, name="carol")
    assert carol.wait_exit() == 4
    assert reason(carol) == "busy"
    missed = call.bob.wait_event("warning", slug="missed-call", name="carol")
    assert missed["fingerprint"] == identity(tmp_path, "carol").fingerprint
    when = time.strftime("%H:%M", time.localtime(missed["t"]))
    assert f"warning: {when} missed call from carol" in call.bob.stderr_text
    assert call.bob.all_events("ended") == []


@pytest.mark.terminal
@pytest.mark.parametrize("number", SIGNALS[:2], ids=lambda number: number.name)
def test_to_give_up_while_it_rings(p2p: Start, number: signal.Signals) -> None:
    bob, target = listening(p2p, terminal=(80, 24))
    alice = dialling(p2p, target)
    alice.wait_event("ringing")
    bob.wait_screen(*QUESTION_WITHOUT_CAMERA)
    alice.signal(number)
    assert alice.wait_exit() == 130
    assert reason(alice) == "interrupted"
    assert reason(bob) == "missed"
    assert bob.exit_code is None


@pytest.mark.terminal
def test_a_listener_that_is_stopped_while_it_rings_tells_the_caller(p2p: Start) -> None:
    bob, target = listening(p2p, terminal=(80, 24))
    alice = dialling(p2p, target)
    bob.wait_screen("[d] decline")
    bob.signal(signal.SIGTERM)
    bob.wait_exit()
    assert alice.wait_exit() == 4
    assert reason(alice) == "declined"


@pytest.mark.terminal
@pytest.mark.parametrize("key,code", [("d", 4), ("a", 0)])
def test_the_person_who_is_asked_decides(p2p: Start, key: str, code: int) -> None:
    bob, target = listening(p2p, terminal=(80, 24))
    modes = bob.terminal_modes()
    alice = dialling(p2p, target, "--max-duration", "0.5")
    bob.wait_screen("[d] decline")
    bob.wait_until(lambda: b"\a" in bob.terminal_output, "bell")
    bob.send(key)
    assert alice.wait_exit() == code
    assert reason(alice) == {"d": "declined", "a": "max-duration"}[key]
    assert reason(bob) == {"d": "declined", "a": "max-duration"}[key]
    bob.signal(signal.SIGTERM)
    assert bob.wait_exit() == 0
    assert bob.terminal_modes() == modes


@pytest.mark.terminal
def test_nobody_answers_in_time(p2p: Start) -> None:
    bob, target = listening(p2p, terminal=(80, 24))
    alice = dialling(p2p, target, "--timeout", "1")
    assert alice.wait_exit() == 4
    ended = alice.wait_event("ended")
    assert ended["reason"] == "no-answer"
    assert ended["t"] - alice.wait_event("ringing")["t"] < 2
    assert reason(bob) in ("missed", "no-answer")


def test_without_a_terminal_a_listener_that_must_ask_declines_and_says_why(p2p: Start) -> None:
    bob, target = listening(p2p)
    alice = dialling(p2p, target)
    assert alice.wait_exit() == 4
    assert reason(alice) == "declined"
    assert alice.all_events("ringing") == []
    warning = bob.wait_event("warning", slug="no-terminal")["text"]
    assert "alice" in warning
    assert "--answer" in warning
    assert warning in bob.stderr_text
    assert bob.exit_code is None


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_a_listener_that_nobody_called_is_stopped(p2p: Start, number: signal.Signals, code: int) -> None:
    bob, _ = listening(p2p)
    bob.signal(number)
    assert bob.wait_exit() == code
    assert bob.stderr_text.count("\n") <= 1


def test_under_nohup_a_terminal_that_goes_away_ends_nothing(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "anyone", program=("nohup", *PROGRAM))
    bob.signal(signal.SIGHUP)
    alice = dialling(p2p, target, "--max-duration", "1")
    assert alice.wait_exit() == 0
    assert reason(alice) == "max-duration"
    assert bob.exit_code is None
    bob.signal(signal.SIGTERM)
    assert bob.wait_exit() == 0


def test_to_give_up_where_nothing_answers(p2p: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        alice = dialling(p2p, f"127.0.0.1:{silent.getsockname()[1]}")
        alice.wait_event("dialling")
        alice.signal(signal.SIGINT)
        assert alice.wait_exit() == 130
        assert reason(alice) == "interrupted"


@pytest.mark.terminal
@pytest.mark.parametrize(
    "how", [*SIGNALS[1:], signal.SIGKILL, "q", "\x03"], ids=lambda how: getattr(how, "name", repr(how))
)
def test_the_terminal_is_as_it_was_however_the_call_ends(p2p: Start, how: signal.Signals | str) -> None:
    bob, target = listening(p2p, "--answer", "anyone")
    alice = p2p(
        *DIAL, target, "--audio-in", "tone", "--audio-out", "none", "--video-in", "test", terminal=(80, 24)
    )
    modes = alice.terminal_modes()
    assert alice.screen is not None
    alice.wait_screen("bob")
    alice.wait_until(lambda: ALTERNATE_ON in alice.terminal_output, "screen of its own")
    alice.wait_screen("hang up")  # what was typed before that is forgotten
    if isinstance(how, str):
        alice.send(how)
    else:
        alice.signal(how)
    if how == "q":
        keep_nobody(alice)
    assert alice.wait_exit() == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    shown = bytes(alice.terminal_output)
    assert shown.count(ALTERNATE_OFF) >= 1
    assert shown.rfind(ALTERNATE_ON) < shown.rfind(ALTERNATE_OFF)
    assert alice.terminal_modes() == modes
    assert not alice.screen.cursor_hidden
    if how != signal.SIGKILL:
        assert bob.wait_event("ended", timeout=AT_ONCE_S)["reason"] == "hung-up"


def test_people_read_how_it_went(p2p: Start) -> None:
    """Without --json: words on standard error, nothing on standard output."""
    bob = p2p(*LISTEN, "--name", "bob", "--answer", "anyone", "--once", *NO_MEDIA)
    bob.wait_stderr("waiting for calls as bob, port ")
    port = bob.stderr_text.partition("port ")[2].split()[0]
    alice = p2p(*DIAL, f"127.0.0.1:{port}", "--name", "alice", "--max-duration", "1", *NO_MEDIA)
    assert (alice.wait_exit(), bob.wait_exit()) == (0, 0)
    assert alice.stdout == bob.stdout == b""
    for process, other in ((alice, "bob"), (bob, "alice")):
        assert f"connected with {other} (not verified), Noise_XXhfs_25519+MLKEM768_" in process.stderr_text
        assert "Traceback" not in process.stderr_text
        assert "hung up after 0:01" in process.stderr_text
