"""An address that is dialled with a key: by IKhfs with whoever has it, or not at all. In virtual time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.handshake.safety_number import identity_uri
from p2pcall.types import Reach

EVE = bytes(range(32))


def called(
    tmp_path: Path, pin: str | None, target: str, **settings: Any
) -> tuple[events.Connected, UserAgent]:
    """Alice dials bob at his address. She has `pin` among her contacts, with bob's key for bob and eve's for eve."""

    async def scene() -> tuple[events.Connected, UserAgent]:
        network, ui = Network(), FakeUi()
        settings.setdefault("answer", Answer.ANYONE)
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, **settings)
        alice = agent(tmp_path, "alice", ui, network, ALICE, 1, max_duration_s=1.0)
        beside(lambda: bob.trust.pin("alice", alice.identity.public, 1.0))
        if pin is not None:
            key = bob.identity.public if pin == "bob" else EVE
            beside(lambda: alice.trust.pin(pin, key, 1.0))
        task = await listening(bob)
        try:
            text = target.format(bob=identity_uri(bob.identity.public), eve=identity_uri(EVE), at=BOB)
            await dial(alice, text)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return ui.of(events.Connected)[0], alice

    return run_virtual(scene)


@pytest.mark.parametrize("reach", [Reach.ANYONE, Reach.CONTACTS])
@pytest.mark.parametrize("target", ["bob@{at}", "{bob}@{at}:51729"])
def test_an_address_is_dialled_with_a_key(tmp_path: Path, target: str, reach: Reach) -> None:
    connected, _ = called(tmp_path, "bob", target, reach=reach)
    assert (connected.name, connected.known) == ("bob", "contact")
    assert "IKhfs" in connected.protocol


def test_a_key_that_is_no_contacts_is_not_kept_unasked_under_the_name_that_its_owner_gives(
    tmp_path: Path,
) -> None:
    connected, alice = called(tmp_path, None, "{bob}@{at}")
    assert (connected.name, connected.known) == ("bob", "new")
    assert "IKhfs" in connected.protocol
    assert alice.trust.expected_key("bob") is None


@pytest.mark.parametrize(
    ("pin", "target"),
    [("eve", "eve@{at}"), (None, "{eve}@{at}"), ("bob", "{eve}@{at}"), ("eve", "{eve}@{at}")],
)
def test_with_a_key_no_other_is_accepted(tmp_path: Path, pin: str | None, target: str) -> None:
    """Not even a contact's. Where only contacts can knock there is nobody, for whoever asks for somebody else."""
    expected = {
        Reach.ANYONE: ("key-changed", ExitCode.UNTRUSTED),
        Reach.CONTACTS: ("unreachable", ExitCode.NOT_FOUND),
    }
    for reach, told in expected.items():
        with pytest.raises(P2PCallError) as caught:
            called(tmp_path / reach, pin, target, reach=reach)
        assert (caught.value.slug, caught.value.exit) == told
