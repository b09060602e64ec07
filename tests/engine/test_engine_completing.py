"""Recordings at a call's end: completed beside the loop, to the end, and told if they are not whole."""

import asyncio
import errno
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.device.files import WavWriter
from p2pcall.device.picture_file import PictureFile
from p2pcall.engine.offload import to_the_end
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Answer
from p2pcall.engine.settings import MediaSettings
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError

RECORDED = {"sound": (WavWriter, "call.wav", "none"), "picture": (PictureFile, "none", "call.y4m")}
BLOCK_S = 0.001


class Slow:
    """In the place of a writer's `close`: says that it is about to, and waits for leave to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[Any]) -> None:
        self.begun, self.free = asyncio.Event(), threading.Event()
        loop, close = asyncio.get_running_loop(), kind.close

        def slow(writer: Any) -> None:
            if threading.current_thread() is threading.main_thread():
                time.sleep(BLOCK_S)  # which the guard of all tests tells of
            else:
                loop.call_soon_threadsafe(self.begun.set)
                assert self.free.wait(10)
            close(writer)

        monkeypatch.setattr(kind, "close", slow)


def recording(folder: Path, ui: FakeUi, network: Network, what: str = "sound") -> UserAgent:
    """A side that records."""
    sound, picture = (name if name == "none" else str(folder / name) for name in RECORDED[what][1:])
    media = MediaSettings("tone", sound, "none", picture)
    return agent(folder, "alice", ui, network, ALICE, 1, max_duration_s=1.0, media=media)


async def call_from(alice: UserAgent, folder: Path, network: Network) -> "asyncio.Task[Outcome]":
    """She dials bob, who listens on until that task is cancelled."""
    bob = agent(folder, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE)
    answering = await listening(bob)
    calling = asyncio.ensure_future(dial(alice))
    calling.add_done_callback(lambda _: answering.cancel())
    return calling


@pytest.mark.parametrize("what", RECORDED)
def test_completing_a_recording_does_not_hold_up_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi()
        slow = Slow(monkeypatch, RECORDED[what][0])
        calling = await call_from(recording(tmp_path, ui, network, what), tmp_path, network)
        await asyncio.wait(
            {calling, begun := asyncio.ensure_future(slow.begun.wait())}, return_when="FIRST_COMPLETED"
        )
        assert begun.done(), "the loop goes on while the file is completed"
        assert not ui.of(events.Ended), "whoever waits for the end finds the file complete"
        slow.free.set()
        assert (await calling).reason == "max-duration"
        assert ui.of(events.Ended)

    run_virtual(scene)
    assert not list(tmp_path.glob("*.part"))


def test_a_full_disk_at_the_end_of_a_recording_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(writer: WavWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(WavWriter, "close", full)

    async def scene() -> None:
        network, ui = Network(), FakeUi()
        await (await call_from(recording(tmp_path, ui, network), tmp_path, network))
        told = [event for event in ui.events if isinstance(event, events.Warning | events.Ended)]
        assert [getattr(event, "slug", "ended") for event in told] == ["write-failed", "ended"]
        assert ui.of(events.Warning)[0].text == f"{tmp_path}/call.wav: no space left on device"

    run_virtual(scene)
    assert (tmp_path / "call.wav").exists(), "what there is, is kept"


def test_a_second_signal_ends_nothing_before_a_recording_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[tuple[signal.Signals, bool]] = []
    path = tmp_path / "call.wav"
    monkeypatch.setattr(signal, "raise_signal", lambda number: raised.append((number, path.exists())))
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)

    async def scene() -> None:
        network, ui = Network(), FakeUi()
        slow = Slow(monkeypatch, WavWriter)
        alice = recording(tmp_path, ui, network)
        calling = await call_from(alice, tmp_path, network)
        await ui.wait(events.FirstAudio)
        alice.interrupts._fire(signal.SIGINT)
        await slow.begun.wait()
        alice.interrupts._fire(signal.SIGTERM)
        alice.interrupts._fire(signal.SIGINT)
        assert not raised
        slow.free.set()
        await calling

    run_virtual(scene)
    assert raised == [(signal.SIGINT, True)]


def test_a_call_that_is_cancelled_completes_its_recording_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi()
        slow = Slow(monkeypatch, WavWriter)
        calling = await call_from(recording(tmp_path, ui, network), tmp_path, network)
        await slow.begun.wait()
        for _ in range(2):
            calling.cancel()
            await asyncio.sleep(0)
        assert not calling.done()
        slow.free.set()
        with pytest.raises(asyncio.CancelledError):
            await calling

    run_virtual(scene)
    assert (tmp_path / "call.wav").exists()


def test_what_fails_in_work_that_is_waited_for_is_raised() -> None:
    def work() -> None:
        raise P2PCallError("write-failed", "full", ExitCode.DEVICE)

    with pytest.raises(P2PCallError, match="full"):
        asyncio.run(to_the_end(work))
