"""A claimed name is only a claim: nobody learns by it who is a contact, and nobody is taken for one."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from eavesdrop import Heard, Seen, opened
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.policy import Answer
from p2pcall.engine.strangers import MAX_TOLD, STRANGERS_BURST, Strangers
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.types import Reach

MUM = bytes(range(32))
"""The key of a contact who is not here."""
WAYS: list[tuple[str | None, Answer]] = [
    ("later", Answer.ASK),
    ("audio", Answer.ASK),
    ("decline", Answer.ASK),
    (None, Answer.ASK),
    (None, Answer.NEVER),
    (None, Answer.ANYONE),
    ("later", Answer.CONTACTS),
    ("decline", Answer.VERIFIED),
]


def a_caller_who_claims(folder: Path, contact: str, answer: str | None, rule: Answer) -> tuple[Any, ...]:
    """Somebody who calls herself mum calls bob, who has a `contact` with another key: what she can see of it."""

    async def scene() -> tuple[Seen, str, int]:
        network, her_ui = Heard(), FakeUi()
        bob = agent(folder / contact, "bob", FakeUi(answer), network, BOB, 2, answer=rule, reach=Reach.ANYONE)
        beside(partial(bob.trust.pin, contact, MUM, 0.0))
        task = await listening(bob)
        her = agent(
            folder / contact, "mum", her_ui, network, ALICE, 1, ring_timeout_s=5.0, max_duration_s=2.0
        )
        outcome = await dial(her)
        await asyncio.sleep(5)
        task.cancel()
        return network.log, outcome.reason, len(her_ui.of(events.Ringing))

    with opened() as said:
        return *run_virtual(scene), said


@pytest.mark.parametrize(("answer", "rule"), WAYS)
def test_whoever_claims_a_contacts_name_gets_exactly_what_any_stranger_gets(
    tmp_path: Path, answer: str | None, rule: Answer
) -> None:
    claimed = a_caller_who_claims(tmp_path, "mum", answer, rule)
    stranger = a_caller_who_claims(tmp_path, "dad", answer, rule)
    assert len(claimed[0]) > 10
    assert claimed == stranger


def test_the_owner_is_told_once_for_each_key_and_not_led_to_remove_the_contact(tmp_path: Path) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi("decline")
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, reach=Reach.ANYONE)
        beside(partial(bob.trust.pin, "mum", MUM, 0.0))
        task = await listening(bob)
        for host, home, seed in (("10.0.1.1", "one", 3), ("10.0.1.2", "one", 3), ("10.0.1.3", "other", 4)):
            side = agent(tmp_path / home, "mum", FakeUi(), network, host, seed)
            assert (await dial(side)).reason == "declined"
        first, second = (one for one in ui.of(events.Warning) if one.slug != "anyone")
        for warning, incoming in ((first, ui.of(events.Incoming)[0]), (second, ui.of(events.Incoming)[2])):
            assert warning.slug == "not-your-contact"
            assert "mum" in warning.text
            assert "remove" not in warning.text
            assert warning.fingerprint == incoming.fingerprint
            assert incoming.fingerprint.startswith(incoming.name), "no name but the key's"
            assert incoming.known == "new"
        assert not ui.of(events.Error)
        task.cancel()

    run_virtual(scene)


def test_what_is_told_once_is_bounded_in_number_and_in_time() -> None:
    strangers = Strangers()
    keys = [number.to_bytes(32, "big") for number in range(2 * MAX_TOLD)]
    for key in keys:
        assert strangers.once(key)
    assert len(strangers._told) == MAX_TOLD
    assert not strangers.may_tell_poser(keys[-1], 5.0), "it was told"
    assert sum(strangers.may_tell_poser(key, 5.0) for key in keys[:100]) == STRANGERS_BURST


@pytest.mark.parametrize("answer", ["later", "audio"])
def test_a_callee_who_claims_a_contacts_name_is_a_hard_stop_and_reads_no_reason(
    tmp_path: Path, answer: str
) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi()
        mum_ui = FakeUi(answer)
        task = await listening(agent(tmp_path, "mum", mum_ui, network, BOB, 2))
        alice = agent(tmp_path, "alice", ui, network, ALICE, 1)
        beside(partial(alice.trust.pin, "mum", MUM, 0.0))
        with pytest.raises(P2PCallError) as caught:
            await dial(alice)
        assert (caught.value.slug, caught.value.exit) == ("key-changed", ExitCode.UNTRUSTED)
        await mum_ui.wait(events.Ended)
        assert not ui.of(events.Connected)
        task.cancel()

    with opened() as said:
        run_virtual(scene)
    assert said[-1] == (ControlType.HANGUP, bytes([Reason.HUNG_UP]))
