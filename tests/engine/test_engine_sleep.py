"""A machine that sleeps in a call: the loop's clock stands still, and what runs out runs out all the same."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, dial, listening
from fakeenv import FakeClock
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import LOST_TIMEOUT_S
from p2pcall.proto.messages import Reason
from p2pcall.proto.phase import PhaseName
from p2pcall.proto.wire import Channel

A_MINUTE_S = LOST_TIMEOUT_S + 0.5


def sleep(side: UserAgent, seconds: float) -> None:
    """What the machine's clocks tell afterwards; the loop's has not moved."""
    clock = side.env.clock
    assert isinstance(clock, FakeClock)
    clock.asleep_s += seconds


class Call:
    """Alice dials bob; both talk. Her machine sleeps when told."""

    def __init__(self, place: Path) -> None:
        self.network = Network()
        self.ui, self.bob_ui = FakeUi(), FakeUi()
        answer = Answer.ANYONE
        self.bob = agent(place, "bob", self.bob_ui, self.network, BOB, 2, answer=answer, once=True)
        self.alice = agent(place, "alice", self.ui, self.network, ALICE, 1, max_duration_s=20.0)

    async def talk(self) -> "asyncio.Task[Outcome]":
        self.listening = await listening(self.bob)
        dialling = asyncio.ensure_future(dial(self.alice))
        await self.ui.wait(events.FirstAudio)
        await self.bob_ui.wait(events.FirstAudio)
        self.line, self.bobs = self._line(self.alice), self._line(self.bob)
        return dialling

    @staticmethod
    def _line(side: UserAgent) -> PeerConnection:
        [line] = side.node._lines.values()
        return line

    def sent(self) -> int:
        return self.network.sources.count(ALICE)

    def from_bob(self) -> None:
        """A datagram as good as any, which is the first thing to be met."""
        self.bobs.send(Channel.AUDIO, bytes(20))
        driver = self.network._drivers[ALICE, 51729]
        driver.receive(self.network.seen[-1], (BOB, 51729))

    async def end(self) -> None:
        self.listening.cancel()
        await asyncio.gather(self.listening, return_exceptions=True)


FIRST: dict[str, Callable[[Call], object]] = {
    "nothing": lambda call: None,
    "voice": lambda call: call.line.send(Channel.AUDIO, bytes(20)),
    "message": lambda call: call.line.send_control(64, b"hello"),
    "goodbye": lambda call: call.line.hang_up(Reason.HUNG_UP),
    "answer": lambda call: call.line.accept("alice", True, True),
    "key": lambda call: call.ui.press("q"),
    "address": lambda call: call.alice.node._moved(),
    "datagram": Call.from_bob,
}
WAIT_A_TURN = ("nothing", "key")
"""Nothing: the microphone comes by itself, or a timer. Whoever presses q has hung up, as far as this side tells."""


@pytest.mark.parametrize("first", FIRST)
def test_after_a_minute_asleep_the_call_is_over_and_nothing_is_sent(tmp_path: Path, first: str) -> None:
    """Whatever it is that comes first when the machine wakes: no sound that still lay there, not even a goodbye."""

    async def scene() -> None:
        call = Call(tmp_path)
        dialling = await call.talk()
        keys = call.line.peer.line.keys
        assert keys is not None and call.sent() > 10
        before = call.sent()
        sleep(call.alice, A_MINUTE_S)
        FIRST[first](call)
        if first not in WAIT_A_TURN:
            assert call.line.peer.phase.name is PhaseName.GONE
        outcome = await dialling
        if first != "key":
            assert (outcome.reason, outcome.exit) == ("lost", ExitCode.LOST)
        assert call.line.peer.phase.name is PhaseName.GONE and not call.line.peer.established
        assert [ended.reason for ended in call.ui.of(events.Ended)] == [outcome.reason]
        await asyncio.sleep(5)
        assert call.sent() == before
        await call.end()

    run_virtual(scene)


def test_the_keys_are_wiped_after_a_minute_asleep(tmp_path: Path) -> None:
    async def scene() -> None:
        call = Call(tmp_path)
        dialling = await call.talk()
        keys = call.line.peer.line.keys
        assert keys is not None
        sleep(call.alice, A_MINUTE_S)
        call.line.send(Channel.AUDIO, bytes(20))
        with pytest.raises(RuntimeError):
            keys.epochs.current.session.seal(b"late")
        await dialling
        await call.end()

    run_virtual(scene)


def test_after_half_a_minute_asleep_the_call_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        call = Call(tmp_path)
        dialling = await call.talk()
        sleep(call.alice, LOST_TIMEOUT_S / 2)
        told = await call.ui.wait(events.Reconnected)
        assert told.ms >= LOST_TIMEOUT_S / 2 * 1000
        before = call.sent()
        await asyncio.sleep(5)
        assert call.sent() >= before + 5 * 45
        [*_, stats] = call.bob_ui.of(events.Stats)
        assert stats.figures.audio_delay_ms is not None
        assert stats.figures.audio_delay_ms < 200, "frames are stamped by the clock that went on"
        call.line.hang_up(Reason.HUNG_UP)
        call.line.tell("hung-up")
        assert (await dialling).reason == "hung-up"
        await call.end()

    run_virtual(scene)


def test_a_dial_that_slept_is_given_up(tmp_path: Path) -> None:
    async def scene() -> None:
        call = Call(tmp_path)
        call.network.up = False
        dialling = asyncio.ensure_future(dial(call.alice))
        await call.ui.wait(events.Dialling)
        sent = call.sent()
        sleep(call.alice, A_MINUTE_S)
        call.alice.node.wake()
        with pytest.raises(P2PCallError, match="nothing answers"):
            await dialling
        assert call.sent() == sent

    run_virtual(scene)


def test_who_listens_can_be_called_after_a_night(tmp_path: Path) -> None:
    async def scene() -> None:
        call = Call(tmp_path)
        call.listening = await listening(call.bob)
        sleep(call.bob, 30_000.0)
        assert (await dial(call.alice)).exit is ExitCode.OK
        await call.end()

    run_virtual(scene)
