"""While `dial` waits, nobody but the one who is dialled learns anything; who dials back is one call."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Answer
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import HANDSHAKE_TIMEOUT_S
from p2pcall.types import Reach

CAROL = "10.0.0.3"
OTHER = bytes(range(32))


@pytest.mark.parametrize("known", [(), ("bob",), ("bob", "somebody")], ids=["nobody", "bob", "others"])
@pytest.mark.parametrize("there", [True, False], ids=["ringing", "searching"])
def test_dialling_opens_no_door(tmp_path: Path, known: tuple[str, ...], there: bool) -> None:
    """By address: before the line is up, and after; whether there are contacts or not."""

    async def scene() -> None:
        network, alice_ui = Network(), FakeUi()
        bob = agent(tmp_path, "bob", FakeUi("later"), network, BOB, 2)
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1, ring_timeout_s=20.0)
        for name in known:
            beside(partial(alice.trust.pin, name, bob.identity.public if name == "bob" else OTHER, 0.0))
        task = await listening(bob) if there else None
        calling = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.Ringing if there else events.Dialling)
        carol = agent(tmp_path, "carol", FakeUi(), network, CAROL, 3)
        stranger = asyncio.ensure_future(dial(carol, ALICE))
        knowing = agent(tmp_path, "dave", FakeUi(), network, "10.0.0.4", 4)
        beside(partial(knowing.trust.pin, "alice", alice.identity.public, 0.0))
        acquainted = asyncio.ensure_future(dial(knowing, ALICE))
        for tried in (stranger, acquainted):
            with pytest.raises(P2PCallError) as caught:
                await tried
            assert caught.value.exit is ExitCode.NOT_FOUND
        assert not network.reached(CAROL)
        assert not network.reached("10.0.0.4")
        await asyncio.gather(calling, return_exceptions=True)
        if task is not None:
            task.cancel()

    run_virtual(scene)


def test_contacts_who_dial_each_others_address_have_one_call(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=3.0)
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2)
        beside(partial(alice.trust.pin, "bob", bob.identity.public, 0.0))
        beside(partial(bob.trust.pin, "alice", alice.identity.public, 0.0))
        outcomes = await asyncio.gather(dial(alice, BOB), dial(bob, ALICE))
        assert [outcome.exit for outcome in outcomes] == [ExitCode.OK, ExitCode.OK]
        assert outcomes[0].call == outcomes[1].call
        assert outcomes[1].figures.concealed < 0.05

    run_virtual(scene)


def test_strangers_who_dial_each_other_at_once_find_nobody(tmp_path: Path) -> None:
    """Neither opens a door to somebody unknown; one of them has to listen."""

    async def scene() -> None:
        network = Network()
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1)
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2)
        begun = asyncio.get_running_loop().time()
        ends = await asyncio.gather(dial(alice, BOB), dial(bob, ALICE), return_exceptions=True)
        assert [end.exit for end in ends if isinstance(end, P2PCallError)] == [ExitCode.NOT_FOUND] * 2
        assert asyncio.get_running_loop().time() - begun < HANDSHAKE_TIMEOUT_S + 1

    run_virtual(scene)


@pytest.mark.usefixtures("named")
def test_while_a_contact_is_dialled_the_port_is_silent_to_all_others(tmp_path: Path) -> None:
    async def scene() -> None:
        network, alice_ui = Network(), FakeUi()
        bob = agent(tmp_path, "bob", FakeUi("later"), network, BOB, 2)
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1, ring_timeout_s=20.0)
        beside(partial(alice.trust.pin, BOB, bob.identity.public, 0.0))
        task = await listening(bob)
        calling = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.Ringing)
        carol = agent(tmp_path, "carol", FakeUi(), network, CAROL, 3)
        with pytest.raises(P2PCallError) as caught:
            await dial(carol, ALICE)
        assert caught.value.exit is ExitCode.NOT_FOUND
        assert not network.reached(CAROL)
        assert (await calling).reason == "no-answer"
        task.cancel()

    run_virtual(scene)


@pytest.mark.usefixtures("named")
def test_contacts_who_dial_each_other_at_once_have_one_call(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=3.0)
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2)
        beside(partial(alice.trust.pin, BOB, bob.identity.public, 0.0))
        beside(partial(bob.trust.pin, ALICE, alice.identity.public, 0.0))
        outcomes = await asyncio.gather(dial(alice, BOB), dial(bob, ALICE))
        assert [outcome.exit for outcome in outcomes] == [ExitCode.OK, ExitCode.OK]
        assert outcomes[0].call == outcomes[1].call

    run_virtual(scene)


# ---- oneself


async def mirror(folder: Path, answer: Answer) -> tuple[FakeUi, P2PCallError | Outcome]:
    """Whoever dials is led to a `listen` with the same key, as by a router that sends back what it gets."""
    network, ui = Network(), FakeUi("audio")
    there = agent(folder, "me", ui, network, BOB, 2, answer=answer, reach=Reach.ANYONE)
    here = agent(folder, "me", FakeUi(), network, ALICE, 3, max_duration_s=1.0)
    assert there.identity == here.identity
    task = await listening(there)
    try:
        return ui, await dial(here)
    except P2PCallError as error:
        await asyncio.sleep(10)
        return ui, error
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("answer", [Answer.ANYONE, Answer.ASK])
def test_ones_own_key_at_the_other_end_is_refused(tmp_path: Path, answer: Answer) -> None:
    ui, end = run_virtual(lambda: mirror(tmp_path, answer))
    assert isinstance(end, P2PCallError)
    assert (end.slug, end.exit) == ("own-key", ExitCode.UNTRUSTED)
    assert "your own key" in end.text
    assert [warning.slug for warning in ui.of(events.Warning) if warning.slug != "anyone"] == ["own-key"]
    assert not ui.of(events.Incoming)
    assert not ui.of(events.Connected)
    assert not ui.of(events.Missed)


def test_ones_own_datagrams_that_come_back_are_no_call(tmp_path: Path) -> None:
    """Whatever alice sends to bob comes back to her own port, while she dials."""

    async def scene() -> None:
        network = Network()
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1)
        carry = network.carry
        network.carry = lambda data, source, target: carry(data, (BOB, 51729), (ALICE, 51729))  # type: ignore[method-assign]
        with pytest.raises(P2PCallError) as caught:
            await dial(alice)
        assert caught.value.exit is ExitCode.NOT_FOUND

    run_virtual(scene)
