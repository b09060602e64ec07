"""A changed key: the statement about it, and towards whom we are still the former one."""

import hmac
from hashlib import sha256
from random import Random

import pytest
from nacl.bindings import crypto_scalarmult

from p2pcall.proto import constants as c
from p2pcall.proto.endpoint import Endpoint, Peer
from p2pcall.proto.events import HandshakeDone
from p2pcall.proto.handshake.exchange import Initiation, Initiator, Local, Responder
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.proto.handshake.rotation import rotation_statement, stated_key
from p2pcall.proto.wire import DropReason, PatternId, Suites
from p2pcall.types import Reach

FORMER, NEW, BOB, EVE = (KeyPair.from_private(bytes([seed]) * 32) for seed in range(1, 5))
LINE = bytes(range(32))
STATEMENT = rotation_statement(FORMER, NEW, BOB.public, LINE)

# ---- the statement


def test_a_statement_gives_the_new_key_to_the_one_it_is_for() -> None:
    assert stated_key(STATEMENT, FORMER.public, BOB, LINE) == NEW.public


def test_a_statement_is_as_the_manual_says() -> None:
    shared = crypto_scalarmult(FORMER.private, BOB.public) + crypto_scalarmult(NEW.private, BOB.public)
    key = sha256(b"p2pcall/4 rotation" + shared).digest()
    mac = hmac.digest(key, FORMER.public + NEW.public + BOB.public + LINE, "sha256")
    assert NEW.public + mac == STATEMENT
    assert len(STATEMENT) <= c.CONTROL_BODY_BYTES


@pytest.mark.parametrize("place", range(len(STATEMENT)))
def test_a_statement_with_one_changed_byte_is_none(place: int) -> None:
    changed = bytes(byte ^ (at == place) for at, byte in enumerate(STATEMENT))
    assert stated_key(changed, FORMER.public, BOB, LINE) is None


@pytest.mark.parametrize("length", [*range(len(STATEMENT)), len(STATEMENT) + 1])
def test_a_statement_of_another_length_is_none(length: int) -> None:
    assert stated_key((STATEMENT + b"\0")[:length], FORMER.public, BOB, LINE) is None


def test_a_statement_holds_in_no_other_line_for_no_other_person_and_of_no_other_key() -> None:
    assert stated_key(STATEMENT, FORMER.public, BOB, bytes(32)) is None
    assert stated_key(STATEMENT, FORMER.public, EVE, LINE) is None
    assert stated_key(STATEMENT, EVE.public, BOB, LINE) is None


@pytest.mark.parametrize("low", [bytes(32), b"\1" + bytes(31)])
def test_a_stated_key_of_low_order_is_none(low: bytes) -> None:
    assert stated_key(low + STATEMENT[32:], FORMER.public, BOB, LINE) is None
    assert stated_key(STATEMENT, low, BOB, LINE) is None


def test_the_other_side_could_have_made_the_statement_itself() -> None:
    """So it proves nothing to anybody else."""
    shared = crypto_scalarmult(BOB.private, FORMER.public) + crypto_scalarmult(BOB.private, NEW.public)
    key = sha256(b"p2pcall/4 rotation" + shared).digest()
    mac = hmac.digest(key, FORMER.public + NEW.public + BOB.public + LINE, "sha256")
    assert NEW.public + mac == STATEMENT


# ---- which key is used towards whom


def local(*untold: bytes) -> Local:
    return Local(NEW, Random(1).randbytes, former=FORMER, untold={*untold})


def test_only_those_who_are_to_be_told_meet_the_former_key() -> None:
    ours = local(BOB.public)
    assert ours.towards(BOB.public) == (FORMER, NEW)
    assert ours.towards(EVE.public) == ours.towards(None) == (NEW,)
    assert Local(NEW, Random(1).randbytes, untold={BOB.public}).towards(BOB.public) == (NEW,)


def test_a_first_message_for_the_former_key_is_read_while_somebody_is_to_be_told() -> None:
    assert local(BOB.public).answering(PatternId.IKHFS) == (NEW, FORMER)
    assert local(BOB.public).answering(PatternId.XXHFS) == (NEW,)
    assert local().answering(PatternId.IKHFS) == (NEW,)


def endpoint(static: KeyPair, seed: int, former: KeyPair | None = None, *untold: bytes) -> Endpoint:
    return Endpoint(static, Random(seed).randbytes, former=former, untold=untold)


def carry(one: Endpoint, two: Endpoint, seconds: float = 6.0) -> list[Peer]:
    """Both on a network without loss, for that time; the peers of lines that came up."""
    up: list[Peer] = []
    for step in range(round(seconds / 0.05)):
        now = 0.05 * step
        for there in (one, two):
            there.handle_timer(now)
        for _ in range(4):
            for here, there, name in ((one, two, "one"), (two, one, "two")):
                for datagram, _ in here.datagrams_to_send(now):
                    there.receive_datagram(datagram, (name, 1), now)
        for there in (one, two):
            while (event := there.next_event()) is not None:
                up += [event.peer] if isinstance(event, HandshakeDone) else []
    return up


@pytest.mark.parametrize("reach", list(Reach))
def test_whoever_knows_the_former_key_alone_reaches_us_by_it(reach: Reach) -> None:
    alice, bob = endpoint(NEW, 1, FORMER, BOB.public), endpoint(BOB, 2)
    alice.reach = reach
    alice.contacts([BOB.public])
    bob.dial([("one", 1)], 0.0, FORMER.public)
    ours, theirs = carry(alice, bob, 1.0)
    assert {ours.local_static, theirs.local_static} == {FORMER, BOB}
    assert {ours.remote_static, theirs.remote_static} == {FORMER.public, BOB.public}


@pytest.mark.parametrize("reach", list(Reach))
@pytest.mark.parametrize("known", [FORMER, NEW])
def test_whoever_is_to_be_told_is_reached_whichever_key_they_know(reach: Reach, known: KeyPair) -> None:
    alice, bob = endpoint(NEW, 1, FORMER, BOB.public), endpoint(BOB, 2)
    bob.reach = reach
    bob.contacts([known.public])
    alice.dial([("two", 1)], 0.0, BOB.public)
    lines = carry(alice, bob, 2.0)
    shown = {peer.remote_static for peer in lines} - {BOB.public}
    assert shown <= {FORMER.public, NEW.public}
    if reach is Reach.CONTACTS:
        assert shown == {known.public}


def test_whoever_was_told_does_not_reach_the_former_key() -> None:
    alice, bob = endpoint(NEW, 1, FORMER, BOB.public, EVE.public), endpoint(BOB, 2)
    alice.reach = Reach.CONTACTS
    alice.told(BOB.public)
    alice.contacts([BOB.public, EVE.public])
    bob.dial([("one", 1)], 0.0, FORMER.public)
    assert carry(alice, bob) == []


def answered(caller: KeyPair, called: bytes) -> Responder | DropReason:
    """What alice makes of a first message that has got past the cookie."""
    suite = Suites.CHACHAPOLY
    said = Initiator(Local(caller, Random(2).randbytes), 7, PatternId.IKHFS, suite, suite, called)
    noise = said.initiation[c.INITIATION_HEADER_BYTES :]
    initiation = Initiation(PatternId.IKHFS, suite, suite, 7, noise)
    return Responder.answer(local(BOB.public), 8, initiation, lambda public: True)


def test_the_former_key_answers_nobody_but_those_who_are_to_be_told() -> None:
    """Not even somebody who is admitted, and knows the former key."""
    assert isinstance(answered(BOB, FORMER.public), Responder)
    assert answered(EVE, FORMER.public) is DropReason.STRANGER
    assert isinstance(answered(EVE, NEW.public), Responder)
    assert answered(BOB, EVE.public) is DropReason.HANDSHAKE
