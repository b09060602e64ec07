"""What the tests of the window share: a call with one, what is seen in it, and whether the sound had a gap."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import desktop as desktops
import numpy as np
import pytest
import sound
from desktop import Desktop, Window, wait_for
from harness import P2P
from pairs import Start, best_call, dialling, listening, media
from person import Canvas, PixelAt, Rgb
from picture import Picture

from p2pcall.view.theme import Ground, ground_colour
from p2pcall.view.window_app import DEAF_S

LEAST_LOUD = 0.3
"""A frame of the tone has at least this part of its usual loudness, however it falls on the tone."""
FRAME = sound.RATE // 50
START_FRAMES = 50
PICTURE_KBPS = 80
"""The test card takes more than that."""
A_BOX, OTHER_BOX = 0.01, 0.02
"""Parts of the window that are a box's ground, or differ between two boxes."""
NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"


def pixel_of(seen: Picture) -> PixelAt:
    def pixel(x: int, y: int) -> Rgb | None:
        if not (0 <= y < seen.shape[0] and 0 <= x < seen.shape[1]):
            return None
        red, green, blue = seen[y, x]
        return int(red), int(green), int(blue)

    return pixel


def shows_card(seen: Picture) -> bool:
    """The test card fills it as far as its shape allows."""
    height, width = seen.shape[:2]
    return Canvas(width, height // 2 + 1).shows_card(pixel_of(seen))


def in_a_call(
    p2p: Start,
    desktop: Desktop,
    *options: str,
    audio_out: str | Path = "none",
    video_in: str = "none",
    video_out: str = "window",
    **where: object,
) -> tuple[P2P, P2P]:
    """Alice with a window, bob who is seen; events of both."""
    bob, target = listening(p2p, "--answer", "anyone", "--once", using=media("tone", video_in="test"))
    using = media("tone", audio_out, video_in=video_in, video_out=video_out)
    alice = dialling(p2p, target, *options, using=using, env=desktop.env, **where)
    alice.wait_event("connected")
    bob.wait_event("connected")
    return alice, bob


def box_ground(seen: Picture) -> Picture:
    """Where the ground of a box of text is."""
    ground: Picture = (seen == np.array(ground_colour(Ground.BOX))).all(axis=2)
    return ground


def with_a_card(desktop: Desktop) -> Window:
    """The window, once it shows the other side and listens to keys."""
    window = desktop.wait_window()
    seen_at = time.monotonic()
    window.wait_until(shows_card, "the test card")
    wait_for(lambda: time.monotonic() > seen_at + DEAF_S + 0.1, "time to listen")
    return window


def silent_frames(path: Path) -> float:
    """How many frames lack the tone, from a second after the beginning, when nothing has happened yet, to its end."""
    heard = sound.read_wav(path)
    frames = heard[: len(heard) // FRAME * FRAME].reshape(-1, FRAME)
    loud = np.sqrt((frames.astype(float) ** 2).mean(axis=1))
    there = loud > LEAST_LOUD * np.median(loud[loud > 0])
    first, last = np.flatnonzero(there)[[0, -1]]
    assert first < START_FRAMES, "it begins at once"
    return float(np.count_nonzero(~there[START_FRAMES : last + 1]))


def without_a_gap(p2p: Start, tmp_path: Path, scene: Callable[[Start, Desktop, Path], Path]) -> None:
    """Play a scene, which gives what was heard in it: the sound must have no gap. That may be tried again, on a machine
    that stood still for a while; what else goes wrong in a scene may not.
    """
    if reason := desktops.missing():
        pytest.skip(reason)

    def call(start: Start, place: Path) -> dict[str, float]:
        with Desktop() as desktop:
            return {"silent": silent_frames(scene(start, desktop, place))}

    def judge(figures: dict[str, float]) -> None:
        assert figures["silent"] == 0

    best_call(p2p, tmp_path, call, judge)


def wait_video_size(side: P2P, wanted: Canvas) -> None:
    while not wanted.fits(side.wait_event("stats")["video_size"] or "0x0"):
        pass
