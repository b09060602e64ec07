"""`listen` between calls: what it offers at the question, and that it says that it goes on waiting."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.devices import Devices
from p2pcall.engine.listener import Listener
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.policy import Answer
from p2pcall.engine.settings import MediaSettings
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError


@pytest.mark.parametrize(("video_in", "camera"), [("test", True), ("none", False)])
def test_a_camera_is_offered_only_where_there_is_one(tmp_path: Path, video_in: str, camera: bool) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi("decline")
        media = MediaSettings("silence", "none", video_in, "none")
        task = await listening(agent(tmp_path, "bob", ui, network, BOB, 2, media=media))
        await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1))
        assert ui.offered_camera is camera
        task.cancel()

    run_virtual(scene)


@pytest.mark.parametrize("answer", ["audio", "decline"])
def test_after_a_call_listen_says_that_it_waits_on(tmp_path: Path, answer: str) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi(answer)
        task = await listening(agent(tmp_path, "bob", ui, network, BOB, 2))
        for number in (1, 2):
            assert ui.waits == number - 1
            await dial(agent(tmp_path, "alice", FakeUi(), network, f"10.0.1.{number}", 1, max_duration_s=1))
            await ui.wait(events.Ended, number)
            await asyncio.sleep(0)  # the listener's own turn
        assert ui.waits == 2
        task.cancel()

    run_virtual(scene)


def test_with_once_nothing_more_is_waited_for(tmp_path: Path) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi()
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, answer=Answer.ANYONE, once=True)
        task = await listening(bob)
        await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1))
        await task
        assert ui.waits == 0

    run_virtual(scene)


@pytest.mark.parametrize("turns", range(8))
def test_a_terminal_that_goes_at_the_question_ends_listen(tmp_path: Path, turns: int) -> None:
    """Its end is read as a refusal, and the signal comes at the same time."""

    class Gone(FakeUi):
        def after(self, left: int) -> None:
            if left:
                asyncio.get_running_loop().call_soon(self.after, left - 1)
            else:
                bob.interrupts._tell("signal")

        def ask(self, incoming: events.Incoming, *, camera: bool) -> Awaitable[str] | None:
            self.after(turns)
            return super().ask(incoming, camera=camera)

    async def scene() -> None:
        nonlocal bob
        network = Network()
        bob = agent(tmp_path, "bob", Gone("decline"), network, BOB, 2)
        task = await listening(bob)
        await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1))
        async with asyncio.timeout(60):
            assert (await task).reason == "signal"

    bob: UserAgent
    run_virtual(scene)


def test_a_signal_that_comes_while_a_device_fails_ends_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told to the call that is being made, which comes to nothing."""

    async def failing(listener: Listener, line: PeerConnection) -> Devices:
        bob.interrupts._tell("signal")
        raise P2PCallError("no-microphone", "it was pulled out", ExitCode.DEVICE)

    async def scene() -> None:
        nonlocal bob
        network = Network()
        bob = agent(tmp_path, "bob", FakeUi("audio"), network, BOB, 2)
        task = await listening(bob)
        call = asyncio.ensure_future(dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1)))
        async with asyncio.timeout(60):
            assert (await task).reason == "signal"
        await call

    bob: UserAgent
    monkeypatch.setattr(Listener, "_fresh_devices", failing)
    run_virtual(scene)
