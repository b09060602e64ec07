"""A dial whose devices take their time: it knocks at once, and rings when they are there."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, listening, look
from msgspec.structs import replace
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.caller import AT_REST_S, Caller, Look
from p2pcall.engine.devices import Devices
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Answer
from p2pcall.engine.rivals import Rivals
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import parse_target
from p2pcall.proto.constants import INVITE_TIMEOUT_S, LOST_TIMEOUT_S

Scene = Callable[[UserAgent, FakeUi], Coroutine[Any, Any, None]]


def called(tmp_path: Path, scene: Scene) -> FakeUi:
    """Runs `scene` with alice, who has bob to call; bob's events."""
    ui = FakeUi()

    async def whole() -> None:
        network = Network()
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, answer=Answer.ANYONE)
        task = await listening(bob)
        await scene(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0), ui)
        await asyncio.sleep(2 * INVITE_TIMEOUT_S)
        task.cancel()

    run_virtual(whole)
    return ui


def after(alice: UserAgent, seconds: float) -> Look:
    """Devices that take so long to be found."""

    async def found() -> Devices:
        await asyncio.sleep(seconds)
        return await look(alice)()

    return found


async def dial(alice: UserAgent, devices: Look) -> Outcome:
    return await Caller(alice, devices, parse_target(BOB), BOB).run()


@pytest.mark.parametrize("seconds", [0.0, 1.0, 4.0, 30.0])
def test_nobody_is_rung_before_the_devices_are_there_and_then_they_are(
    tmp_path: Path, seconds: float
) -> None:
    async def scene(alice: UserAgent, bob: FakeUi) -> None:
        begun = asyncio.get_running_loop().time()
        call = asyncio.ensure_future(dial(alice, after(alice, seconds)))
        await bob.wait(events.Incoming)
        assert asyncio.get_running_loop().time() - begun >= seconds
        assert (await call).exit is ExitCode.OK
        (connected,) = alice.ui.of(events.Connected)
        assert connected.setup_ms < 100, "what one's own devices took is not the line's"

    assert len(called(tmp_path, scene).of(events.Incoming)) == 1


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_nobody_is_rung_by_a_call_without_its_devices(tmp_path: Path, seconds: float) -> None:
    async def missing() -> Devices:
        await asyncio.sleep(seconds)
        raise P2PCallError("no-microphone", "there is no microphone", ExitCode.DEVICE)

    async def scene(alice: UserAgent, bob: FakeUi) -> None:
        with pytest.raises(P2PCallError, match="no microphone"):
            await dial(alice, missing)
        assert not alice.ui.events, "what is wrong is told first"

    assert not called(tmp_path, scene).of(events.Incoming)


def test_the_devices_are_looked_for_while_nobody_answers(tmp_path: Path) -> None:
    looked = []

    async def scene() -> None:
        alice = agent(tmp_path, "alice", FakeUi(), Network(), ALICE, 1)

        async def found() -> Devices:
            looked.append(asyncio.get_running_loop().time() - begun)
            return await look(alice)()

        begun = asyncio.get_running_loop().time()
        with pytest.raises(P2PCallError, match="nothing answers"):
            await dial(alice, found)

    run_virtual(scene)
    assert looked == [pytest.approx(AT_REST_S)]


@pytest.mark.parametrize("turns", range(8))
def test_a_signal_ends_a_dial_from_its_beginning(tmp_path: Path, turns: int) -> None:
    """Also where it comes at the very moment at which it is known where to dial."""

    async def scene(alice: UserAgent, bob: FakeUi) -> None:
        loop = asyncio.get_running_loop()

        def later(left: int) -> None:
            if left:
                loop.call_soon(later, left - 1)
            else:
                alice.interrupts._tell("signal")

        begun = loop.time()
        later(turns)
        try:
            reason = (await dial(alice, after(alice, 1.0))).reason
        except P2PCallError as error:
            reason = error.slug
        assert (reason, loop.time()) == ("interrupted", begun)

    assert not called(tmp_path, scene).of(events.Incoming)


def test_a_line_that_was_lost_while_the_devices_were_looked_for_is_dialled_anew(tmp_path: Path) -> None:
    took_s = LOST_TIMEOUT_S + INVITE_TIMEOUT_S + 1

    async def scene(alice: UserAgent, bob: FakeUi) -> None:
        alice.settings = replace(alice.settings, ring_timeout_s=2 * took_s)
        assert (await dial(alice, after(alice, took_s))).exit is ExitCode.OK

    assert len(called(tmp_path, scene).of(events.Incoming)) == 1


def test_a_rival_that_has_not_called_yet_is_dropped_when_the_call_is_up(tmp_path: Path) -> None:
    """A contact whose own devices take their time has a line to a dialler, who is answered by another one."""

    async def scene() -> None:
        network = Network()
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=9.0)
        carol = agent(tmp_path, "carol", FakeUi(), network, "10.0.0.3", 3)
        beside(lambda: alice.trust.pin("carol", carol.identity.public, 0.0))
        beside(lambda: carol.trust.pin("alice", alice.identity.public, 0.0))
        call = asyncio.ensure_future(dial(alice, look(alice)))
        rival = asyncio.ensure_future(Caller(carol, after(carol, 3.0), parse_target(ALICE), ALICE).run())
        await asyncio.sleep(1.0)
        assert len(alice.node._lines) == 2
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE)
        task = await listening(bob)
        assert (await call).reason == "max-duration"
        assert not alice.node._lines
        for one in (rival, task):
            one.cancel()
            await asyncio.gather(one, return_exceptions=True)

    run_virtual(scene)


def test_a_rival_that_comes_together_with_the_answer_is_dropped_too(tmp_path: Path) -> None:
    async def scene() -> None:
        alice = agent(tmp_path, "alice", FakeUi(), Network(), ALICE, 1)
        rivals = Rivals(alice.node, alice.identity.public, lambda: None)
        rivals.hear(alice.node.dial([(BOB, 51729)], None))
        rivals.forget()
        assert not alice.node._lines
        assert alice.node.endpoint.idle

    run_virtual(scene)


def test_what_is_wrong_on_this_side_is_told_before_that_nobody_is_there(tmp_path: Path) -> None:
    """Whoever runs it again with the fault mended should not have to learn of the next one then."""

    async def missing() -> Devices:
        await asyncio.sleep(1.0)
        raise P2PCallError("same-file", "one file twice", ExitCode.USAGE)

    async def scene() -> None:
        alice = agent(tmp_path, "alice", FakeUi(), Network(), ALICE, 1)
        own = f"{ALICE}:{alice.node.driver.port}"
        with pytest.raises(P2PCallError) as caught:
            await Caller(alice, missing, parse_target(own), own).run()
        assert caught.value.slug == "same-file"

    run_virtual(scene)
