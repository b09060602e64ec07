"""Whole calls between two stations in virtual time: what each side is told, and how calls end."""

import asyncio
import errno
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.policy import Answer
from p2pcall.engine.settings import MediaSettings
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import DEFAULT_PORT
from p2pcall.proto.constants import LOST_TIMEOUT_S, SILENT_S
from p2pcall.types import Reach

OUTAGES = (events.Reconnecting, events.Reconnected)


def test_a_call_connects_carries_sound_and_ends_on_both_sides(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        alice_ui, bob_ui = FakeUi(), FakeUi()
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.ANYONE, once=True)
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1, max_duration_s=5.0)
        task = await listening(bob)
        outcome = await dial(alice)
        assert outcome.exit is ExitCode.OK
        assert (await task).exit is ExitCode.OK
        here, there = alice_ui.of(events.Connected)[0], bob_ui.of(events.Connected)[0]
        assert here.sas == there.sas
        assert len(here.sas) == 4
        assert (here.name, there.name) == ("bob", "alice")
        assert here.call == there.call
        assert alice_ui.of(events.FirstAudio)
        assert bob_ui.of(events.FirstAudio)
        ended = bob_ui.of(events.Ended)[0]
        assert ended.reason == "max-duration"
        assert 4.5 < ended.duration_s < 5.5
        assert ended.figures.concealed < 0.02

    run_virtual(scene)


def test_same_seed_same_event_log(tmp_path: Path) -> None:
    def log(folder: str) -> list[str]:
        async def scene() -> list[str]:
            network = Network(seed=7, loss=0.1, jitter_s=0.02)
            ui = FakeUi()
            bob = agent(tmp_path / folder, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE, once=True)
            alice = agent(tmp_path / folder, "alice", ui, network, ALICE, 1, max_duration_s=10.0)
            task = await listening(bob)
            await dial(alice)
            await task
            connected = ui.of(events.Connected)[0]
            lines = "\n".join(events.to_json(event, 0.0) for event in ui.events)
            for drawn in (connected.call, *connected.sas):  # the KEM draws on the system's randomness
                lines = lines.replace(drawn, "drawn")
            return lines.split("\n")

        return [line for line in run_virtual(scene) if '"cpu"' not in line]

    assert log("one") == log("two")


def test_asked_and_declined_is_exit_4(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob_ui = FakeUi("decline")
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2)
        task = await listening(bob)
        outcome = await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1))
        assert (outcome.reason, outcome.exit) == ("declined", ExitCode.REFUSED)
        task.cancel()

    run_virtual(scene)


def test_nothing_is_captured_before_the_answer(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob_ui, alice_ui = FakeUi("later"), FakeUi()
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2)
        task = await listening(bob)
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1, ring_timeout_s=10.0)
        calling = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.Ringing)
        before = network.sent
        outcome = await calling
        assert outcome.reason == "no-answer"
        assert network.sent - before < 60  # pings and goodbyes only: ten seconds of voice would be 500
        assert not bob_ui.of(events.Connected)
        assert (await bob_ui.wait(events.Ended)).reason == "missed"
        task.cancel()

    run_virtual(scene)


@pytest.mark.parametrize(
    ("slug", "settings", "why"),
    [
        ("no-terminal", {}, "there is no terminal to ask at (--answer says who is answered without asking)"),
        ("missed-call", {"answer": Answer.NEVER}, "declined, as --answer says"),
    ],
)
def test_a_call_that_nobody_was_asked_about_is_told_with_whose_it_was_and_why(
    tmp_path: Path, slug: str, settings: dict[str, Any], why: str
) -> None:
    async def scene() -> None:
        network = Network()
        bob_ui = FakeUi(None)
        task = await listening(agent(tmp_path, "bob", bob_ui, network, BOB, 2, **settings))
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1)
        assert (await dial(alice)).reason == "declined"
        key = alice.identity.fingerprint
        (warning,) = bob_ui.of(events.Warning)
        assert warning == events.Warning(slug, f"missed call from alice ({key}): {why}", "alice", key)
        task.cancel()

    run_virtual(scene)


@pytest.mark.parametrize("answer", ["audio", "decline", "later", None])
def test_every_incoming_call_is_told_as_ended_with_whose_it_was(tmp_path: Path, answer: str | None) -> None:
    async def scene() -> None:
        network = Network()
        bob_ui, alice_ui = FakeUi(answer), FakeUi()
        task = await listening(agent(tmp_path, "bob", bob_ui, network, BOB, 2))
        calling = asyncio.ensure_future(
            dial(agent(tmp_path, "alice", alice_ui, network, ALICE, 1, max_duration_s=1))
        )
        incoming = await bob_ui.wait(events.Incoming)
        if answer == "later":
            await alice_ui.wait(events.Ringing)
            calling.cancel()
        ended = await bob_ui.wait(events.Ended)
        assert (ended.call, ended.name, ended.fingerprint) == (incoming.call, "alice", incoming.fingerprint)
        wanted = {"audio": ("max-duration",), "later": ("missed", "no-answer")}
        assert ended.reason in wanted.get(answer or "", ("declined",))
        assert ended.by == ("remote" if answer == "audio" else "")
        task.cancel()
        await asyncio.gather(calling, return_exceptions=True)

    run_virtual(scene)


def test_reach_contacts_drops_strangers_before_they_ring(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob_ui = FakeUi("audio")
        task = await listening(agent(tmp_path, "bob", bob_ui, network, BOB, 2, reach=Reach.CONTACTS))
        said = network.sent
        with pytest.raises(P2PCallError) as caught:
            await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1))
        assert caught.value.exit is ExitCode.NOT_FOUND
        assert network.sent - said == 11, "her knocks and nothing else"
        assert not bob_ui.of(events.Incoming)
        task.cancel()

    run_virtual(scene)


def test_a_second_caller_hears_busy(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob_ui, alice_ui = FakeUi(), FakeUi()
        task = await listening(agent(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.ANYONE))
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1, max_duration_s=5.0)
        first = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.Connected)
        outcome = await dial(agent(tmp_path, "carol", FakeUi(), network, "10.0.0.3", 3))
        assert (outcome.reason, outcome.exit) == ("busy", ExitCode.REFUSED)
        assert (await first).exit is ExitCode.OK
        task.cancel()

    run_virtual(scene)


def test_nobody_there_is_exit_3(tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(P2PCallError) as caught:
            await dial(agent(tmp_path, "alice", FakeUi(), Network(), ALICE, 1))
        assert caught.value.exit is ExitCode.NOT_FOUND
        assert caught.value.hint

    run_virtual(scene)


def test_a_network_that_comes_back_brings_the_call_back(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        alice_ui, bob_ui = FakeUi(), FakeUi()
        task = await listening(
            agent(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.ANYONE, once=True)
        )
        calling = asyncio.ensure_future(
            dial(agent(tmp_path, "alice", alice_ui, network, ALICE, 1, max_duration_s=60.0))
        )
        await alice_ui.wait(events.FirstAudio)
        loop = asyncio.get_running_loop()
        network.up = False
        down_at = loop.time()
        await alice_ui.wait(events.Reconnecting)
        assert loop.time() - down_at == pytest.approx(SILENT_S, abs=0.1)
        await asyncio.sleep(24)
        network.up = True
        up_at = loop.time()
        await alice_ui.wait(events.Reconnected)
        assert loop.time() - up_at < 2
        assert (await calling).reason == "max-duration"
        await task
        for ui in (alice_ui, bob_ui):
            ((begun,), (over,)) = ui.of(events.Reconnecting), ui.of(events.Reconnected)
            assert (begun.call, begun.ms) == (over.call, 3000)
            assert over.ms == pytest.approx(27_000, abs=500)

    run_virtual(scene)


def test_other_side_is_asked_at_once_when_own_addresses_have_changed(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        ui = FakeUi()
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE, once=True)
        alice = agent(tmp_path, "alice", ui, network, ALICE, 1, max_duration_s=3.0)
        task = await listening(bob)
        calling = asyncio.ensure_future(dial(alice))
        await ui.wait(events.FirstAudio)
        (line,) = alice.node._lines.values()
        now = alice.node.now()
        assert line.peer.line.timing.next_ping > now
        alice.node._moved()
        assert line.peer.line.timing.next_ping == now, "it rides with the next sound"
        await asyncio.sleep(0.1)
        assert line.peer.line.timing.next_ping > now
        assert (await calling).reason == "max-duration"
        await task

    run_virtual(scene)


def test_silence_is_sent_like_sound_where_there_is_none_to_send(tmp_path: Path) -> None:
    def sizes(audio_in: str) -> Counter[int]:
        async def scene() -> Counter[int]:
            network = Network()
            media = MediaSettings(audio_in, "none", "none", "none")
            bob = agent(
                tmp_path / audio_in, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE, once=True
            )
            ui = FakeUi()
            alice = agent(
                tmp_path / audio_in, "alice", ui, network, ALICE, 1, media=media, max_duration_s=5.0
            )
            task = await listening(bob)
            await dial(alice)
            await task
            assert [event.audio for event in ui.of(events.Connected)] == [audio_in != "none"]
            return Counter(map(len, network.seen))

        return run_virtual(scene)

    assert sizes("tone") == sizes("silence") == sizes("none")


def test_a_network_that_goes_away_for_good_is_lost_and_exit_7(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        ui = FakeUi()
        task = await listening(
            agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE, once=True)
        )
        calling = asyncio.ensure_future(dial(agent(tmp_path, "alice", ui, network, ALICE, 1)))
        await ui.wait(events.FirstAudio)
        network.up = False
        outcome = await calling
        assert (outcome.reason, outcome.exit) == ("lost", ExitCode.LOST)
        assert 60 <= outcome.duration_s <= 62
        assert [type(event) for event in ui.events if isinstance(event, OUTAGES)] == [events.Reconnecting]
        assert (await task).exit is ExitCode.LOST

    run_virtual(scene)


def test_a_side_that_dies_without_a_word_is_noticed_and_lost_within_the_time_of_the_keepalive(
    tmp_path: Path,
) -> None:
    """The system says that nothing listens there any more: that is not authenticated, and ends nothing sooner."""

    async def scene() -> None:
        network, ui, loop = Network(), FakeUi(), asyncio.get_running_loop()
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE)
        alice = agent(tmp_path, "alice", ui, network, ALICE, 1)
        dying, calling = await listening(bob), asyncio.ensure_future(dial(alice))
        await ui.wait(events.FirstAudio)
        died_at = loop.time()
        bob.node.driver.close()
        alice.node._unreachable((BOB, DEFAULT_PORT), errno.ECONNREFUSED)
        told = await ui.wait(events.Reconnecting)
        assert told.call == ui.of(events.Connected)[0].call
        assert loop.time() - died_at == pytest.approx(SILENT_S, abs=0.1)
        outcome = await calling
        assert (outcome.reason, outcome.exit) == ("lost", ExitCode.LOST)
        assert loop.time() - died_at == pytest.approx(LOST_TIMEOUT_S, abs=1.0)
        dying.cancel()
        await asyncio.wait([dying])

    run_virtual(scene)


@pytest.mark.usefixtures("named")
def test_a_changed_key_for_a_pinned_name_is_a_hard_stop(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        task = await listening(agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE))
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0)
        await dial(alice)
        task.cancel()
        await asyncio.wait([task])
        impostor_ui = FakeUi()
        other = agent(tmp_path / "elsewhere", "bob", impostor_ui, network, BOB, 9, answer=Answer.ANYONE)
        task = await listening(other)
        with pytest.raises(P2PCallError) as caught:
            await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 4, max_duration_s=1.0))
        assert caught.value.exit is ExitCode.UNTRUSTED
        assert "contacts remove" in (caught.value.hint or "")
        task.cancel()

    run_virtual(scene)


def test_what_is_thrown_away_is_told_by_its_reason(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        alice_ui, bob_ui = FakeUi(), FakeUi()
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.ANYONE, once=True)
        task = await listening(bob)
        calling = asyncio.ensure_future(
            dial(agent(tmp_path, "alice", alice_ui, network, ALICE, 1, max_duration_s=5.0))
        )
        await bob_ui.wait(events.Connected)
        for data in (b"", b"\xff" * 100, b"\xff" * 100):
            network.carry(data, (ALICE, 4000), (BOB, 51729))
        await calling
        await task
        figures = bob_ui.of(events.Ended)[0].figures
        assert (figures.drops["length"], figures.drops["type"]) == (1, 2)
        assert figures.dropped == sum(figures.drops.values())

    run_virtual(scene)


def test_mute_sends_silence_at_the_same_cadence_and_tells_the_other_side(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        alice_ui, bob_ui = FakeUi(), FakeUi()
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.ANYONE, once=True)
        task = await listening(bob)
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1, max_duration_s=6.0)
        calling = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.Stats, 2)
        alice_ui.press("m")
        media = await bob_ui.wait(events.Media)
        assert (media.side, media.audio) == ("remote", False)
        await calling
        rates = [stats.figures.tx_kbps for stats in alice_ui.of(events.Stats)]
        assert max(rates[1:]) - min(rates[1:]) < 0.1 * max(rates)
        await task

    run_virtual(scene)
