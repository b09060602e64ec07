"""What goes on beside the sound of a call and must not hold it up, and what of it people see: in virtual time."""

import asyncio
import threading
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from calls import BOB
from seeing import Pair, with_a_call
from virtual import VirtualLoop, run_virtual

from p2pcall import events
from p2pcall.codec.opus import OpusEncoder
from p2pcall.codec.video import VideoEncoder
from p2pcall.engine import offload, send_pacer
from p2pcall.engine.call_status import MAX_NOTICES, NOTICE_S, Notices
from p2pcall.engine.settings import MediaSettings
from p2pcall.engine.trust import TrustStore
from p2pcall.engine.video import PlayoutThread
from p2pcall.engine.videopath import VideoPath
from p2pcall.proto.messages import ControlType, MediaFlags
from p2pcall.view.plainline import plain_line
from p2pcall.view.statusline import status_line

NOTHING_HEARD = "not heard any more: reconnecting"
OPEN_S, MUTED_S, SLOW_S = 0.000441, 0.000504, 0.0071
"""What the encoder takes: measured for speech and for silence, and one that misses the time to leave."""


# ---- voice leaves in time


def leaving(
    folder: Path, monkeypatch: pytest.MonkeyPatch, took_s: dict[bool, float]
) -> dict[bool, Counter[int]]:
    """How many µs after the 20 ms datagrams of alice leave, while her microphone is open and while it is muted."""
    found: dict[bool, Counter[int]] = {False: Counter(), True: Counter()}
    encode = OpusEncoder.encode

    def slow(self: OpusEncoder, pcm: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.pass_time(took_s[not any(pcm)])
        return encode(self, pcm)

    async def scene(pair: Pair) -> None:
        network, carry = pair.network, pair.network.carry
        began = asyncio.get_running_loop().time()

        def watch(data: bytes, source: tuple[str, int], target: tuple[str, int]) -> None:
            if target[0] == BOB:
                passed_us = round((asyncio.get_running_loop().time() - began) * 1e6)
                found[pair.alice_ui.view.hud.muted][passed_us % 20_000] += 1
            carry(data, source, target)

        monkeypatch.setattr(network, "carry", watch)
        for _ in range(2):
            await asyncio.sleep(1.0)
            pair.alice_ui.press("m")
        pair.alice_ui.press("q")
        await pair.end()

    monkeypatch.setattr(OpusEncoder, "encode", slow)
    with_a_call(folder, scene, media=MediaSettings("tone", "none", "none", "none"))
    return found


def test_a_muted_microphone_has_the_cadence_of_an_open_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = leaving(tmp_path, monkeypatch, {False: OPEN_S, True: MUTED_S})
    (ours, count), *_ = found[False].most_common()
    assert count > 40
    assert found[True][ours] > 40, "to the microsecond"


def test_a_packet_that_took_too_long_leaves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = leaving(tmp_path, monkeypatch, {False: OPEN_S, True: SLOW_S})
    (ours, _), *_ = found[False].most_common()
    later_us = round((SLOW_S - send_pacer.HOLD_S) * 1e6)
    assert found[True][(ours + later_us) % 20_000] > 40


def test_the_kernels_alarm_rings_once_after_its_time_and_not_after_the_end() -> None:
    async def scene() -> None:
        loop, rang = asyncio.get_running_loop(), asyncio.Queue[float]()
        alarm = send_pacer.make_alarm(lambda: rang.put_nowait(loop.time()))
        due = loop.time() + 0.002
        alarm.at(due + 10.0)
        alarm.at(due)
        assert await rang.get() >= due
        alarm.at(loop.time())
        alarm.close()
        alarm.close()
        await asyncio.sleep(0.005)
        assert rang.empty()

    asyncio.run(scene())


# ---- the loop goes on


def test_a_lock_that_somebody_else_holds_does_not_silence_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, verify = threading.Event(), TrustStore.verify

    def waits(*args: object) -> object:
        assert released.wait(10)
        return verify(*args)  # type: ignore[arg-type]

    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        with monkeypatch.context() as changed:
            changed.setattr(offload, "THREAD_NAME", "another, for which virtual time does not wait")
            alice.press("i")
            alice.press("y")
            await asyncio.sleep(0)  # no time passes, but the thread is started
        before = pair.network.sent
        await asyncio.sleep(1.0)
        assert pair.network.sent - before >= 2 * 49, "both sides' voices go on"
        assert not alice.of(events.Verified)
        released.set()
        await alice.wait(events.Verified)
        assert alice.view.hud.known == "verified"
        alice.press("q")
        await pair.end()

    monkeypatch.setattr(TrustStore, "verify", waits)
    with_a_call(tmp_path, scene)


def test_what_was_said_is_kept_though_the_call_ends_at_once(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        for key in "iyq":
            pair.alice_ui.press(key)
        await pair.end()
        told = [type(event) for event in pair.alice_ui.events]
        assert told.index(events.Verified) < told.index(events.Ended)
        assert [one.verified for one in pair.known("alice")] == [True]

    with_a_call(tmp_path, scene)


class Stuck:
    """A screen that takes a picture and does not come back."""

    def __init__(self) -> None:
        self.on_error: None = None
        self.busy, self.free = threading.Event(), threading.Event()

    def show(self, frame: av.VideoFrame) -> None:
        self.busy.set()
        self.free.wait(10)

    def view_size(self) -> tuple[int, int]:
        return (64, 48)

    def close(self) -> None:
        """Nothing to complete."""


def test_threads_of_the_picture_are_waited_for_beside_the_loop() -> None:
    grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8), format="rgb24")
    coded = VideoEncoder(64, 48, 15, 100_000).encode(grey, True)
    assert coded is not None

    async def scene() -> None:
        loop, wall = asyncio.get_running_loop(), Stuck()
        playout = PlayoutThread(wall, loop.call_soon_threadsafe)
        path = VideoPath(None, loop.time, lambda at: 0, None, playout, wall)  # type: ignore[arg-type]
        path.start(False)
        playout.submit(coded.data, True)
        await offload.offload(wall.busy.wait)
        loop.call_later(0.01, wall.free.set)
        await path.stop()
        assert wall.free.is_set(), "the loop went on, and what was shown came to its end"

    asyncio.run(scene())


def test_a_bug_beside_the_loop_is_raised_to_whoever_waits() -> None:
    def bug() -> None:
        raise ZeroDivisionError

    async def scene() -> None:
        with pytest.raises(ZeroDivisionError):
            await offload.offload(bug)

    told = list[threading.ExceptHookArgs]()
    before, threading.excepthook = threading.excepthook, told.append
    try:
        asyncio.run(scene())
        assert [one.exc_type for one in told] == [ZeroDivisionError], "and it ends the command"
    finally:
        threading.excepthook = before


# ---- what people see


def test_a_notice_stays_for_its_time() -> None:
    notices = Notices()
    assert notices.showing(99.0) == ""
    notices.say("no camera", 100.0)
    assert notices.showing(100.0 + NOTICE_S - 0.1) == "no camera"
    assert notices.showing(100.0 + NOTICE_S) == ""


def test_a_notice_that_another_covered_comes_back_for_the_rest_of_its_time() -> None:
    notices = Notices()
    notices.say("the disk is full", 0.0)
    notices.say("no camera", 2.0)
    assert notices.showing(2.0 + NOTICE_S - 0.1) == "no camera"
    assert notices.showing(2.0 + NOTICE_S) == "the disk is full"
    assert notices.showing(2 * NOTICE_S - 0.1) == "the disk is full"
    assert notices.showing(2 * NOTICE_S) == ""
    notices.say("again", 20.0)
    notices.say("again", 24.0)
    assert notices.showing(24.0 + NOTICE_S - 0.1) == "again", "what happens again is new"
    assert notices.showing(24.0 + NOTICE_S) == ""


def test_of_too_many_notices_the_oldest_go_and_what_lasts_stays() -> None:
    notices = Notices()
    notices.say("reconnecting", 0.0, lasting=True)
    for number in range(MAX_NOTICES + 2):
        notices.say(str(number), 0.0)
    shown = [notices.showing(NOTICE_S * turn) for turn in range(MAX_NOTICES + 2)]
    assert shown == ["5", "4", "3", "2", "reconnecting", "reconnecting"]
    notices.end("reconnecting", 1000.0)
    notices.end("reconnecting", 1000.0)
    assert notices.showing(1000.0) == ""


async def ticks(pair: Pair, count: int) -> None:
    """So many seconds of the call, as its status line counts them."""
    await pair.alice_ui.wait(events.Stats, len(pair.alice_ui.of(events.Stats)) + count)


def test_what_is_said_stays_in_the_line_while_seconds_pass_and_while_it_reconnects(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        hud = pair.alice_ui.view
        pair.alice_ui.press("i")
        pair.alice_ui.press("y")
        await pair.alice_ui.wait(events.Verified)
        for _ in range(int(NOTICE_S) - 1):
            await ticks(pair, 1)
            assert "bob is verified" in line(pair)
        await ticks(pair, 2)
        assert hud.hud.notice == ""
        pair.network.up = False
        await pair.alice_ui.wait(events.Reconnecting)
        pair.alice_ui.press("v")
        await ticks(pair, int(NOTICE_S) - 1)
        assert hud.hud.notice.startswith("no camera")
        await ticks(pair, 2)
        assert hud.hud.notice == NOTHING_HEARD
        pair.network.up = True
        await pair.alice_ui.wait(events.Reconnected)
        assert hud.hud.notice == ""
        pair.alice_ui.press("q")
        await pair.end()

    with_a_call(tmp_path, scene)


def line(pair: Pair) -> str:
    return "".join(segment.text for segment in status_line(pair.alice_ui.view.hud, 80))


def test_that_the_other_side_records_is_seen_all_the_time_it_does(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        assert "records" not in line(pair)
        theirs = pair.bob_line()
        for flags, seen in ((MediaFlags.AUDIO | MediaFlags.RECORDING, True), (MediaFlags.AUDIO, False)):
            theirs.send_control(ControlType.MEDIA, bytes([flags]))
            count = len(pair.alice_ui.of(events.Media))
            told = await pair.alice_ui.wait(events.Media, count + 1)
            assert (told.side, told.recording) == ("remote", seen)
            for _ in range(10):
                await ticks(pair, 1)
                assert ("● other" in line(pair)) == seen
                assert ("other side records" in plain_line(pair.alice_ui.view.hud)) == seen
            pair.alice_ui.press("?")
        pair.alice_ui.press("q")
        await pair.end()

    with_a_call(tmp_path, scene)


def test_the_virtual_loop_waits_for_what_is_beside_it() -> None:
    async def scene() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.call_later(3600.0, lambda: None)
        await offload.offload(lambda: threading.Event().wait(0.01))
        return loop.time() - began

    assert run_virtual(scene) == 0.0
