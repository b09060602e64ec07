"""The other side may be hostile, also after the handshake: what it can and cannot make this side do."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, dial, listening, look
from test_engine_parts import GONE, Bench, FakeSink
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine import caller, listener
from p2pcall.engine.devices import Devices
from p2pcall.engine.mediastate import MEDIA_EVERY_S
from p2pcall.engine.node import Node, PeerConnection
from p2pcall.engine.policy import Answer
from p2pcall.engine.sound import REOPEN_EVERY_S, SupervisedSink
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import parse_target
from p2pcall.proto.events import Accepted, HandshakeDone, IncomingCall
from p2pcall.proto.line.control import ControlFull
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.types import Reach

PLAYING: list["asyncio.Future[None]"] = []
"""Keeps the tasks alive."""
Play = Callable[[Node, PeerConnection], Awaitable[None]]


def hostile(folder: Path, name: str, network: Network, host: str, seed: int, play: Play) -> Node:
    """A node that answers handshakes and then does what `play` says."""
    side = agent(folder, name, FakeUi(), network, host, seed)
    side.node.on_caller = lambda line: PLAYING.append(asyncio.ensure_future(play(side.node, line)))
    side.node.endpoint.accepting = True
    return side.node


async def until(line: PeerConnection, kind: type) -> object:
    """The next signal of a kind."""
    while not isinstance(signal := await line.signals.get(), kind):
        pass
    return signal


@pytest.mark.parametrize(
    ("reason", "told", "code"),
    [
        (Reason.BUSY, "busy", ExitCode.REFUSED),
        (Reason.MAX_DURATION, "declined", ExitCode.REFUSED),
        (Reason.FAILED, "declined", ExitCode.REFUSED),
    ],
)
def test_a_refusal_is_exit_4_whatever_reason_the_other_side_gives(
    tmp_path: Path, reason: Reason, told: str, code: ExitCode
) -> None:
    async def refuse(node: Node, line: PeerConnection) -> None:
        await until(line, IncomingCall)
        line.peer.decline(reason, node.now())
        node.pump()

    async def scene() -> None:
        network = Network()
        hostile(tmp_path, "bob", network, BOB, 2, refuse)
        outcome = await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1))
        assert (outcome.reason, outcome.exit) == (told, code)

    run_virtual(scene)


@pytest.mark.parametrize("reason", [Reason.BUSY, Reason.DECLINED, Reason.NO_ANSWER, Reason.FAILED])
def test_the_end_of_a_call_that_was_up_is_exit_0_whatever_reason_the_other_side_gives(
    tmp_path: Path, reason: Reason
) -> None:
    async def answer_and_leave(node: Node, line: PeerConnection) -> None:
        await until(line, IncomingCall)
        line.accept("bob", True, False)
        await asyncio.sleep(2)
        line.hang_up(reason)

    async def scene() -> None:
        network = Network()
        hostile(tmp_path, "bob", network, BOB, 2, answer_and_leave)
        outcome = await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1))
        assert (outcome.reason, outcome.exit) == ("hung-up", ExitCode.OK)

    run_virtual(scene)


@pytest.mark.parametrize("seed", [2, 5])  # with one of them the other side's key is the lower one
def test_a_second_line_from_the_other_side_after_the_answer_changes_nothing(
    tmp_path: Path, seed: int
) -> None:
    async def answer_and_dial_back(node: Node, line: PeerConnection) -> None:
        await until(line, IncomingCall)
        line.peer.ring("bob", node.now())
        node.pump()
        second = node.dial([(ALICE, 51729)], line.peer.remote_static)
        await until(second, HandshakeDone)
        line.accept("bob", True, False)
        second.peer.invite("bob", True, False, node.now())
        node.pump()

    async def scene() -> None:
        network = Network()
        hostile(tmp_path, "bob", network, BOB, seed, answer_and_dial_back)
        outcome = await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=3.0))
        assert outcome.exit is ExitCode.OK

    run_virtual(scene)


def test_a_flood_of_media_messages_is_told_a_few_times_a_second(tmp_path: Path) -> None:
    async def flood(node: Node, line: PeerConnection) -> None:
        await until(line, IncomingCall)
        line.accept("bob", True, False)
        for n in range(2000):
            try:
                line.peer.send_control(ControlType.MEDIA, bytes([n % 2]), node.now())
            except ControlFull:
                await asyncio.sleep(0.01)
            node.pump()

    async def scene() -> None:
        network, ui = Network(), FakeUi()
        hostile(tmp_path, "bob", network, BOB, 2, flood)
        outcome = await dial(agent(tmp_path, "alice", ui, network, ALICE, 1, max_duration_s=5.0))
        assert outcome.exit is ExitCode.OK
        assert len(ui.of(events.Media)) <= 5.0 / MEDIA_EVERY_S + 2

    run_virtual(scene)


def test_mute_survives_an_other_side_that_takes_no_control_messages(tmp_path: Path) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi()
        task = await listening(agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE))
        calling = asyncio.ensure_future(
            dial(agent(tmp_path, "alice", ui, network, ALICE, 1, max_duration_s=8.0))
        )
        await ui.wait(events.FirstAudio)
        network.up = False
        for _ in range(101):
            ui.press("m")
        network.up = True
        assert (await calling).exit is ExitCode.OK
        assert ui.of(events.Media)[-1].audio is False
        task.cancel()

    run_virtual(scene)


def test_a_caller_who_is_dropped_in_silence_is_told_that_nothing_answers(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob = agent(tmp_path, "bob", FakeUi("audio"), network, BOB, 2, reach=Reach.CONTACTS)
        task = await listening(bob)
        with pytest.raises(P2PCallError) as caught:
            await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1))
        assert caught.value.exit is ExitCode.NOT_FOUND
        task.cancel()

    run_virtual(scene)


def test_a_key_is_pinned_under_the_name_that_was_dialled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(agent: UserAgent, target: object) -> caller.Location:
        return caller.Location([(BOB, 51729)], agent.trust.expected_key("box.example"), "box.example")

    async def scene(seed: int, claimed: str) -> None:
        network = Network()
        bob = agent(tmp_path / str(seed), claimed, FakeUi(), network, BOB, seed, answer=Answer.ANYONE)
        task = await listening(bob)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0)
        try:
            await caller.Caller(alice, look(alice), parse_target("box.example"), "box.example").run()
        finally:
            task.cancel()

    monkeypatch.setattr(caller, "locate", found)
    run_virtual(lambda: scene(2, "bob"))
    with pytest.raises(P2PCallError) as caught:
        run_virtual(lambda: scene(3, "somebody else"))
    assert caught.value.exit is ExitCode.UNTRUSTED


def test_a_file_that_could_not_be_written_is_not_begun_anew(tmp_path: Path) -> None:
    async def scene() -> None:
        bench = Bench(FakeSink)
        speaker = SupervisedSink(bench(str(tmp_path / "out.wav")), bench, str(tmp_path / "out.wav"))
        speaker.play(lambda _: b"")
        assert bench.opened[0].on_error is not None
        bench.opened[0].on_error(GONE)
        await asyncio.sleep(3 * REOPEN_EVERY_S)
        assert [one.spec for one in bench.opened[1:]] == ["none"]
        speaker.stop()

    run_virtual(scene)


def test_one_callers_trouble_does_not_end_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi()
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.ANYONE)
        task = await listening(bob)
        first = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0)
        assert (await dial(first)).exit is ExitCode.OK
        await bob_ui.wait(events.Ended)

        async def refuse(*_: object) -> Devices:
            raise GONE

        with monkeypatch.context() as broken:
            broken.setattr(listener, "look_for_devices", refuse)
            second = agent(tmp_path, "carol", FakeUi(), network, "10.0.0.3", 3)
            assert (await dial(second)).exit is ExitCode.REFUSED
        assert bob_ui.of(events.Error)[0].slug == GONE.slug
        third = agent(tmp_path, "dave", FakeUi(), network, "10.0.0.4", 4, max_duration_s=1.0)
        assert (await dial(third)).exit is ExitCode.OK
        task.cancel()

    run_virtual(scene)


def test_a_bug_in_a_callback_ends_the_call_with_a_word_to_the_other_side(tmp_path: Path) -> None:
    async def scene() -> None:
        network, alice_ui, bob_ui = Network(), FakeUi(), FakeUi()
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.ANYONE)
        task = await listening(bob)
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1)
        calling = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.FirstAudio)
        alice.interrupts.crashed(ZeroDivisionError())
        outcome = await calling
        assert outcome.reason == "failed"
        assert (await bob_ui.wait(events.Ended)).reason == "hung-up"
        task.cancel()

    run_virtual(scene)


def test_the_answer_of_the_dialled_side_ends_the_wait(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        side = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1)

        async def accept_late(node: Node, line: PeerConnection) -> None:
            await until(line, IncomingCall)
            line.accept("bob", True, True)

        hostile(tmp_path, "bob", network, BOB, 2, accept_late)
        line = side.node.dial([(BOB, 51729)], None)
        await until(line, HandshakeDone)
        line.peer.invite("alice", True, True, side.node.now())
        side.node.pump()
        accepted = await until(line, Accepted)
        assert isinstance(accepted, Accepted)
        assert accepted.video

    run_virtual(scene)
