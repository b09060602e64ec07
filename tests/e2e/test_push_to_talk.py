"""Push-to-talk with a real keyboard: a window, a terminal that tells releases (kitty), and one that repeats (xterm)."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from desktop import Desktop, wait_for
from harness import P2P
from netns import end
from ownwindow import in_a_call, with_a_card
from pairs import DIAL, Start, listening, media

pytestmark = pytest.mark.terminal

HOLD_S = 2
"""Seconds of figures: longer than any terminal takes until a held key repeats."""
TERMINALS = {
    "xterm": ["xterm", "-e"],
    "kitty": [
        "kitty",
        "--config",
        "NONE",
        "-o",
        "confirm_os_window_close=0",
        "-o",
        "update_check_interval=0",
    ],
}


needs_kitty = pytest.mark.skipif(shutil.which("kitty") is None, reason="kitty missing: apt-get install kitty")


def heard(side: P2P) -> list[bool]:
    """Each time that the other side's microphone was told to be on or off."""
    return [event["audio"] for event in side.all_events("media") if event["side"] == "remote"]


def wait_heard(side: P2P, *audio: bool) -> None:
    side.wait_until(lambda: heard(side) == [*audio], f"{audio} of the other side, but {heard(side)}")


def holds_and_lets_go(desktop: Desktop, bob: P2P, *, up: tuple[str, ...]) -> None:
    """Space goes down, and what is given as `up` is done after two seconds."""
    wait_heard(bob, False)
    desktop.do("keydown", "space")
    wait_heard(bob, False, True)
    seconds = len(bob.all_events("stats")) + HOLD_S
    bob.wait_until(lambda: len(bob.all_events("stats")) >= seconds, "two seconds")
    assert heard(bob) == [False, True]
    desktop.do(*up)
    wait_heard(bob, False, True, False)


def test_in_the_window_the_microphone_is_on_until_the_key_is_released(p2p: Start, desktop: Desktop) -> None:
    alice, bob = in_a_call(p2p, desktop, "--push-to-talk")
    with_a_card(desktop)
    holds_and_lets_go(desktop, bob, up=("keyup", "space"))
    desktop.do("key", "q")
    assert alice.wait_exit() == bob.wait_exit() == 0


@contextmanager
def calling_in(terminal: str, desktop: Desktop, target: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A call in a terminal's window, which has the keyboard."""
    call = [
        sys.executable,
        "-m",
        "p2pcall",
        *DIAL,
        target,
        "--name",
        "alice",
        "--push-to-talk",
        *media("tone"),
    ]
    environ = os.environ | dict(desktop.env) | {"LIBGL_ALWAYS_SOFTWARE": "1"}
    window = subprocess.Popen(
        [*TERMINALS[terminal], *call],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: shown(desktop, terminal) != "", "window of the terminal")
        desktop.do("windowactivate", "--sync", shown(desktop, terminal))
        yield window
    finally:
        end(window)


def shown(desktop: Desktop, terminal: str) -> str:
    """The number of the terminal's window; "" before it is there."""
    found = desktop.do("search", "--onlyvisible", "--class", terminal, check=False).split()
    return found[-1] if found else ""


@pytest.mark.parametrize("terminal", ["xterm", pytest.param("kitty", marks=needs_kitty)])
def test_in_a_terminal_the_microphone_is_on_while_the_key_is_held(
    p2p: Start, desktop: Desktop, terminal: str
) -> None:
    bob, target = listening(p2p, "--answer", "anyone", "--once")
    with calling_in(terminal, desktop, target) as window:
        bob.wait_event("connected")
        holds_and_lets_go(desktop, bob, up=("keyup", "space"))
        desktop.do("key", "ctrl+c")
        assert bob.wait_exit() == 0
        window.wait(20)


@needs_kitty
def test_a_terminal_that_tells_releases_is_believed_where_the_key_does_not_repeat(
    p2p: Start, desktop: Desktop
) -> None:
    """Another key that is pressed meanwhile ends the repeats. That releases are told it knows from the first."""
    bob, target = listening(p2p, "--answer", "anyone", "--once")
    with calling_in("kitty", desktop, target) as window:
        bob.wait_event("connected")
        wait_heard(bob, False)
        desktop.do("keydown", "space")
        wait_heard(bob, False, True)
        desktop.do("keyup", "space")
        wait_heard(bob, False, True, False)
        desktop.do("keydown", "space")
        desktop.do("key", "s")
        wait_heard(bob, False, True, False, True)
        seconds = len(bob.all_events("stats")) + HOLD_S
        bob.wait_until(lambda: len(bob.all_events("stats")) >= seconds, "two seconds")
        wait_heard(bob, False, True, False, True)
        desktop.do("keyup", "space")
        wait_heard(bob, False, True, False, True, False)
        desktop.do("key", "ctrl+c")
        assert bob.wait_exit() == 0
        window.wait(20)


def test_who_takes_the_keyboard_elsewhere_has_released_the_key(p2p: Start, desktop: Desktop) -> None:
    bob, target = listening(p2p, "--answer", "anyone", "--once")
    other = subprocess.Popen(["xterm", "-class", "Other", "-e", "cat"], env=os.environ | dict(desktop.env))
    try:
        wait_for(lambda: shown(desktop, "Other") != "", "the other window")
        with calling_in("xterm", desktop, target):
            bob.wait_event("connected")
            activate = ("windowactivate", "--sync", shown(desktop, "Other"))
            holds_and_lets_go(desktop, bob, up=activate)
            desktop.do("keyup", "space")
            bob.signal(signal.SIGTERM)
            assert bob.wait_exit() == 0
    finally:
        end(other)
