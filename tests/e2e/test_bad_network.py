"""A bad network: one datagram in ten is lost in both directions, then for three seconds all of them.

When a picture was shown is told by the recording's time stamps, which are wall-clock time since the first picture;
when that was shown tells the event.
"""

import itertools
import time
from pathlib import Path

import numpy as np
import picture
import pytest
import sound
from harness import P2P
from netns import NetnsPair
from pairs import Start, in_call_between, media

pytestmark = pytest.mark.netns

LOSS_PERCENT = 10
SPEECH_S = 6.0
OUTAGE_S = 3
AFTER_S = 3
MIN_PESQ = 2.5
"""Of speech with a tenth of the datagrams lost: fair and better. Silence for each lost frame gives 1.3."""
MAX_RECOVERY_S = 2.0
FPS = 15


def seconds_pass(process: P2P, seconds: int) -> None:
    """Wait for so many of its statistics, which it tells once a second."""
    for _ in range(seconds):
        process.wait_event("stats")


def test_a_call_lives_through_loss_and_an_outage(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    says = sound.speech_wav(tmp_path / "speech.wav", SPEECH_S)
    clip = picture.clip(tmp_path / "clip.mp4", 16.5, fps=FPS)
    heard, shown = tmp_path / "out.wav", tmp_path / "out.mkv"
    netns_pair.set_loss(LOSS_PERCENT)
    call = in_call_between(
        netns_pair,
        p2p,
        listen=media("tone", heard, video_out=shown),
        dial=["--loop", *media(says, video_in=clip)],
    )
    first_shown = call.bob.wait_event("first-video")
    seconds_pass(call.bob, int(SPEECH_S) + 1)
    dropped = {side: netns_pair.dropped(side) for side in ("a", "b")}
    before = call.bob.all_events("stats")
    outage_at = time.time()
    netns_pair.set_loss(100)
    seconds_pass(call.bob, OUTAGE_S)
    mended_at = time.time()
    netns_pair.set_loss(LOSS_PERCENT)
    seconds_pass(call.bob, AFTER_S)
    assert call.alice.all_events("ended") == call.bob.all_events("ended") == []
    call.alice.stop()
    call.bob.stop()
    ended = call.alice.wait_event("ended"), call.bob.wait_event("ended")

    score = sound.pesq_wideband(
        sound.read_wav(says), sound.read_wav(heard)[: int((SPEECH_S + 1.5) * sound.RATE)]
    )
    frames = [(first_shown["t"] + at, frame) for at, frame in picture.read(shown)]
    times = [at for at, _ in frames]
    early = [at for at in times if at < outage_at]
    late = [at for at in times if at > mended_at]
    gap = max(b - a for a, b in itertools.pairwise(early))
    recovery_s = late[0] - mended_at if late else float("inf")
    loss = float(np.mean([event["loss"] for event in before]))
    concealed = float(np.mean([event["concealed"] for event in before[1:]]))
    print(
        f"PESQ-WB {score:.2f}, loss {loss:.1%}, concealed {concealed:.1%}, recovered {before[-1]['recovered']}, "
        f"dropped {dropped}, {len(early) / (early[-1] - early[0]):.1f} pictures a second, longest gap {gap:.2f} s, "
        f"picture back after {recovery_s:.2f} s, sound delay {before[-1]['audio_delay_ms']} -> "
        f"{call.bob.all_events('stats')[-1]['audio_delay_ms']} ms"
    )
    assert min(dropped.values()) > 20
    assert 0.04 < loss < 0.2
    assert score >= MIN_PESQ
    assert concealed < loss / 2, "copies do not help"
    assert gap < MAX_RECOVERY_S
    assert len(early) > 0.5 * FPS * (early[-1] - early[0])
    assert recovery_s < MAX_RECOVERY_S
    assert len(late) > 0.5 * FPS * (times[-1] - late[0])
    assert all(
        picture.likeness(frame, picture.number_of(frame)) > 20 for at, frame in frames if at > late[0] + 1
    )
    assert [event["reason"] for event in ended] == ["signal", "hung-up"]
    assert ended[0]["exit"] == ended[1]["exit"] == 0
