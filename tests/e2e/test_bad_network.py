"""A bad network: one datagram in ten is lost in both directions, then for three seconds all of them.

When a picture was shown is told by the recording's time stamps, which are wall-clock time since the first picture;
when that was shown tells the event.
"""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import picture
import pytest
import sound
from netns import NetnsPair
from pairs import Start, best_call, in_call_between, media, seconds_pass

pytestmark = [pytest.mark.netns, pytest.mark.apart]

LOSS_PERCENT = 10
SPEECH_S = 6.0
OUTAGE_S = 3
AFTER_S = 3
MIN_PESQ = 2.5
"""Of speech with a tenth of the datagrams lost: fair and better. Silence for each lost frame gives 1.3."""
MAX_RECOVERY_S = 2.0
FPS = 15


def test_a_call_lives_through_loss_and_an_outage(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    says = sound.speech_wav(tmp_path / "speech.wav", SPEECH_S)
    clip = picture.clip(tmp_path / "clip.mp4", 16.5, fps=FPS)
    best_call(p2p, tmp_path, lambda start, place: lossy_call(netns_pair, start, place, says, clip), judge)


def lossy_call(net: NetnsPair, start: Start, place: Path, says: Path, clip: Path) -> dict[str, Any]:
    """One call through the loss and the outage; how it was heard and seen."""
    heard, shown = place / "out.wav", place / "out.mkv"
    net.set_loss(LOSS_PERCENT)
    call = in_call_between(
        net,
        start,
        listen=media("tone", heard, video_out=shown),
        dial=["--loop", *media(says, video_in=clip)],
    )
    first_shown = call.bob.wait_event("first-video")
    seconds_pass(call.bob, int(SPEECH_S) + 1)
    dropped = {side: net.dropped(side) for side in ("a", "b")}
    before = call.bob.all_events("stats")
    outage_at = time.time()
    net.set_loss(100)
    seconds_pass(call.bob, OUTAGE_S)
    mended_at = time.time()
    net.set_loss(LOSS_PERCENT)
    seconds_pass(call.bob, AFTER_S)
    assert call.alice.all_events("ended") == call.bob.all_events("ended") == []
    call.alice.stop()
    call.bob.stop()
    ended = call.alice.wait_event("ended"), call.bob.wait_event("ended")
    assert [event["reason"] for event in ended] == ["signal", "hung-up"]
    assert ended[0]["exit"] == ended[1]["exit"] == 0
    assert min(dropped.values()) > 20
    score = sound.pesq_wideband(
        sound.read_wav(says), sound.read_wav(heard)[: int((SPEECH_S + 1.5) * sound.RATE)]
    )
    return {
        "pesq": round(score, 2),
        "loss": round(float(np.mean([event["loss"] for event in before])), 3),
        "concealed": round(float(np.mean([event["concealed"] for event in before[1:]])), 3),
        "recovered": before[-1]["recovered"],
        "dropped": dropped,
        "delay_ms": (before[-1]["audio_delay_ms"], call.bob.all_events("stats")[-1]["audio_delay_ms"]),
        **seen(shown, first_shown["t"], outage_at, mended_at),
    }


def seen(shown: Path, first_shown_at: float, outage_at: float, mended_at: float) -> dict[str, float]:
    """How the pictures came before the outage and after it."""
    frames = [(first_shown_at + at, frame) for at, frame in picture.read(shown)]
    times = [at for at, _ in frames]
    early = [at for at in times if at < outage_at]
    late = [at for at in times if at > mended_at]
    clear_again = [frame for at, frame in frames if late and at > late[0] + 1]
    return {
        "early_fps": rate(early),
        "gap_s": max((b - a for a, b in itertools.pairwise(early)), default=float("inf")),
        "recovery_s": late[0] - mended_at if late else float("inf"),
        "late_fps": rate(late),
        "late_likeness_db": min(
            (picture.likeness(frame, picture.number_of(frame)) for frame in clear_again), default=0.0
        ),
    }


def rate(times: list[float]) -> float:
    """Pictures a second."""
    return len(times) / (times[-1] - times[0]) if len(times) > 1 else 0.0


def judge(figures: dict[str, Any]) -> None:
    assert 0.04 < figures["loss"] < 0.2
    assert figures["pesq"] >= MIN_PESQ
    assert figures["concealed"] < figures["loss"] / 2, "copies do not help"
    assert figures["gap_s"] < MAX_RECOVERY_S
    assert figures["early_fps"] > 0.5 * FPS
    assert figures["recovery_s"] < MAX_RECOVERY_S
    assert figures["late_fps"] > 0.5 * FPS
    assert figures["late_likeness_db"] > 20
