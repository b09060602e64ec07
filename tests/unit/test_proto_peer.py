"""One end of a line: nonces are shown when a call is answered, and to an address that agrees there goes media."""

from collections.abc import Callable

import pytest
from netem import ALICE, BOB, Pair, Sent, call, line, two

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallError, CallState
from p2pcall.proto.endpoint import Peer
from p2pcall.proto.events import Accepted, CallEnded, IncomingCall, Message, Payload, Revealed
from p2pcall.proto.messages import ControlType, Reason, pack_greeting
from p2pcall.proto.wire import Channel, DatagramType, DropReason
from p2pcall.types import Address

ELSEWHERE: Address = ("198.51.100.7", 4000)
SOUND = bytes(450)
PADDED = len(SOUND) + c.SLACK_BYTES


def invited(seed: int = 0) -> Pair:
    """A line whose call has come in."""
    pair = line(seed)
    pair.ours.invite("alice", True, True, pair.world.now)
    assert pair.world.run(5, lambda: bool(pair.bob.of(IncomingCall)))
    return pair


def answered(pair: Pair) -> Pair:
    """The call is answered, and nothing of that has arrived."""
    pair.theirs.accept("bob", True, True, pair.world.now)
    assert pair.theirs.state is CallState.ANSWERED
    return pair


def lies(peer: Peer, kind: ControlType, nonce: bytes, pair: Pair) -> None:
    """A hostile peer says what our code never would."""
    body = nonce + (pack_greeting("x", True, True) if kind is ControlType.ACCEPT else b"")
    peer.line.control.send(kind, body, pair.world.now, reserve=True)


def no_reveal(pair: Pair) -> None:
    """Alice's side never sends its nonce: what it would send is lost to it."""
    send = pair.ours.line.control.send

    def without(kind: int, body: bytes, now: float, *, reserve: bool = False) -> None:
        if kind != ControlType.REVEAL:
            send(kind, body, now, reserve=reserve)

    class Quiet:
        send = staticmethod(without)

    pair.ours.line.call._control = Quiet()  # type: ignore[assignment]


# ---- words


def test_nobody_has_words_before_the_call_is_answered() -> None:
    pair = invited()
    pair.theirs.ring("bob", pair.world.now)
    pair.world.run(1)
    assert (pair.ours.state, pair.theirs.state) == (CallState.RINGING, CallState.INCOMING)
    assert pair.ours.sas == pair.theirs.sas == ()


def test_who_answers_has_no_words_before_the_caller_has_shown_its_nonce() -> None:
    pair = answered(invited())
    assert pair.world.run(1, lambda: bool(pair.alice.of(Accepted)))
    assert (pair.theirs.state, pair.theirs.sas) == (CallState.ANSWERED, ())
    assert pair.ours.state is CallState.ACTIVE
    assert len(pair.ours.sas) == c.SAS_WORDS
    assert pair.world.run(1, lambda: bool(pair.bob.of(Revealed)))
    assert (pair.theirs.state, pair.theirs.sas) == (CallState.ACTIVE, pair.ours.sas)
    assert pair.bob.of(Revealed) == [Revealed(pair.theirs)]
    assert pair.world.run(3 * c.REVEAL_TIMEOUT_S) is False
    assert not pair.bob.of(CallEnded), "the time to show it is over with it"


def test_nonce_that_is_lost_is_shown_again() -> None:
    pair = answered(invited())
    gone: list[Sent] = []

    def refuse(sent: Sent) -> bool:
        if sent.source == ALICE and len(gone) < 3:
            gone.append(sent)
        return sent in gone

    pair.world.network.refuse = refuse
    assert pair.world.run(c.REVEAL_TIMEOUT_S, lambda: bool(pair.bob.of(Revealed)))
    assert len(gone) == 3
    assert pair.ours.sas == pair.theirs.sas != ()


@pytest.mark.parametrize("ringing", [False, True])
def test_answer_with_another_nonce_than_the_promised_one_ends_the_call(ringing: bool) -> None:
    pair = invited()
    if ringing:
        pair.theirs.ring("bob", pair.world.now)
    lies(pair.theirs, ControlType.ACCEPT, b"w" * c.NONCE_BYTES, pair)
    assert pair.world.run(2, lambda: bool(pair.bob.of(CallEnded)))
    assert pair.alice.of(CallEnded) == [CallEnded(pair.ours, Reason.BROKEN_PROMISE, remote=False)]
    assert pair.bob.of(CallEnded) == [CallEnded(pair.theirs, Reason.FAILED, remote=True)]
    assert not pair.alice.of(Accepted)
    assert pair.ours.sas == pair.theirs.sas == ()
    assert pair.alice.endpoint.dropped == {DropReason.COMMITMENT: 1}


@pytest.mark.parametrize("honest", [True, False])
def test_caller_shows_its_nonce_only_to_whoever_keeps_the_promise(honest: bool) -> None:
    pair = invited()
    ours, theirs = pair.ours.line.call._exchange, pair.theirs.line.call._exchange
    assert ours is not None and theirs is not None
    heard: list[bytes] = []
    receive = pair.theirs.line.control.receive

    class Listening:
        def __getattr__(self, name: str) -> object:
            return getattr(control, name)

        def receive(self, payload: bytes) -> object:
            heard.append(payload)
            return receive(payload)

    control = pair.theirs.line.control
    pair.theirs.line.control = Listening()  # type: ignore[assignment]
    lies(pair.theirs, ControlType.ACCEPT, theirs.nonce if honest else b"w" * c.NONCE_BYTES, pair)
    pair.world.run(2)
    assert (ours.nonce in b"".join(heard)) is honest


def test_nonce_that_the_caller_has_not_promised_ends_the_answered_call() -> None:
    pair = answered(invited())
    no_reveal(pair)
    assert pair.world.run(1, lambda: bool(pair.alice.of(Accepted)))
    lies(pair.ours, ControlType.REVEAL, b"w" * c.NONCE_BYTES, pair)
    assert pair.world.run(2, lambda: bool(pair.alice.of(CallEnded)))
    assert pair.bob.of(CallEnded) == [CallEnded(pair.theirs, Reason.BROKEN_PROMISE, remote=False)]
    assert pair.alice.of(CallEnded) == [CallEnded(pair.ours, Reason.FAILED, remote=True)]
    assert not pair.bob.of(Revealed)
    assert pair.theirs.sas == ()
    assert pair.bob.endpoint.dropped == {DropReason.COMMITMENT: 1}


def test_broken_promise_is_told_once_whatever_follows() -> None:
    pair = answered(invited())
    no_reveal(pair)
    pair.world.run(0.2)
    good = pair.ours.line.call._exchange
    assert good is not None
    for nonce in (b"w" * 16, good.nonce, b"v" * 16):
        lies(pair.ours, ControlType.REVEAL, nonce, pair)
    pair.world.run(3)
    assert [ended.reason for ended in pair.bob.of(CallEnded)] == [Reason.BROKEN_PROMISE]
    assert (pair.theirs.state, pair.theirs.sas) == (CallState.ENDED, ())


def test_caller_that_does_not_show_its_nonce_is_hung_up_on() -> None:
    pair = answered(invited())
    no_reveal(pair)
    start = pair.world.now
    assert pair.world.run(10, lambda: bool(pair.bob.of(CallEnded)))
    assert pair.world.now == pytest.approx(start + c.REVEAL_TIMEOUT_S)
    assert pair.bob.of(CallEnded) == [CallEnded(pair.theirs, Reason.LOST, remote=False)]
    assert pair.world.run(1, lambda: bool(pair.alice.of(CallEnded)))
    assert pair.alice.of(CallEnded) == [CallEnded(pair.ours, Reason.FAILED, remote=True)]
    pair.world.run(5)
    assert not pair.bob.endpoint._state.peers


def test_what_else_the_caller_says_does_not_give_it_more_time() -> None:
    pair = answered(invited())
    no_reveal(pair)
    start = pair.world.now
    for _ in range(100):
        pair.ours.send_control(c.FIRST_ENGINE_MESSAGE, b"", pair.world.now)
        pair.ours.send(Channel.AUDIO, SOUND, pair.world.now, padded_to=PADDED)
        if pair.world.run(0.1, lambda: bool(pair.bob.of(CallEnded))):
            break
    assert pair.world.now == pytest.approx(start + c.REVEAL_TIMEOUT_S, abs=0.1)
    assert pair.bob.of(Message) and not pair.bob.of(Payload)
    assert pair.bob.endpoint.dropped[DropReason.INACTIVE] > 0, "no sound before the words are known"


# ---- our own wishes while the call is answered


WISHES: list[Callable[[Peer, float], None]] = [
    lambda peer, now: peer.invite("x", True, True, now),
    lambda peer, now: peer.ring("x", now),
    lambda peer, now: peer.accept("x", True, True, now),
    lambda peer, now: peer.decline(Reason.BUSY, now),
]


@pytest.mark.parametrize("wish", WISHES)
def test_what_makes_no_sense_once_answered_is_refused_and_changes_nothing(
    wish: Callable[[Peer, float], None],
) -> None:
    pair = answered(invited())
    start = pair.world.now
    no_reveal(pair)
    pair.world.run(3)
    with pytest.raises(CallError):
        wish(pair.theirs, pair.world.now)
    assert pair.theirs.state is CallState.ANSWERED
    assert pair.world.run(10, lambda: bool(pair.bob.of(CallEnded)))
    assert pair.world.now == pytest.approx(start + c.REVEAL_TIMEOUT_S), "nor does it give more time"


def test_who_has_answered_can_hang_up_at_once() -> None:
    pair = answered(invited())
    pair.theirs.hangup(Reason.HUNG_UP, pair.world.now)
    assert pair.world.run(2, lambda: bool(pair.alice.of(CallEnded)))
    assert pair.bob.of(CallEnded) == [CallEnded(pair.theirs, Reason.HUNG_UP, remote=False)]
    assert pair.alice.of(CallEnded) == [CallEnded(pair.ours, Reason.HUNG_UP, remote=True)]
    pair.world.run(3)
    assert len(pair.bob.of(CallEnded)) == len(pair.alice.of(CallEnded)) == 1


def test_who_has_answered_may_send_and_vanish() -> None:
    pair = answered(invited())
    now = pair.world.now
    pair.theirs.send(Channel.AUDIO, SOUND, now, padded_to=PADDED)
    pair.theirs.send_control(ControlType.MEDIA, b"\1", now)
    pair.theirs.nudge(now)
    assert pair.world.run(1, lambda: bool(pair.alice.of(Message)))
    pair.theirs.close()
    assert pair.theirs.state is CallState.ENDED
    assert not pair.bob.endpoint._state.peers


def test_caller_may_hang_up_while_its_nonce_is_on_its_way() -> None:
    pair = answered(invited())
    assert pair.world.run(1, lambda: bool(pair.alice.of(Accepted)))
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    assert pair.world.run(2, lambda: bool(pair.bob.of(CallEnded)))
    assert pair.bob.of(CallEnded) == [CallEnded(pair.theirs, Reason.HUNG_UP, remote=True)]


def test_dial_that_is_over_cannot_be_answered() -> None:
    world, alice, _ = two()
    peer = alice.endpoint.dial([BOB], world.now)
    with pytest.raises(RuntimeError, match="the handshake is not done"):
        peer.accept("x", True, True, world.now)
    peer.hangup(Reason.HUNG_UP, world.now)
    with pytest.raises(CallError):
        peer.accept("x", True, True, world.now)


# ---- consent


def talk(pair: Pair, seconds: float) -> None:
    """Both send sound, 50 a second."""
    for _ in range(round(seconds * 50)):
        for peer in (pair.ours, pair.theirs):
            if peer.state is CallState.ACTIVE:
                peer.send(Channel.AUDIO, SOUND, pair.world.now, padded_to=PADDED)
        pair.world.run(0.02)


def sent_by_bob(pair: Pair, since: float) -> list[Sent]:
    log = pair.world.network.log
    return [sent for sent in log if sent.source == BOB and sent.at >= since and sent.destination == ALICE]


def moved(pair: Pair) -> None:
    """All that Alice sends comes from elsewhere, and what is sent to either place reaches nobody."""
    pair.alice.address = ELSEWHERE
    pair.world.network.refuse = lambda sent: sent.source == BOB


def test_address_that_agrees_gets_media_for_ever() -> None:
    pair = call()
    talk(pair, 100)
    assert pair.ours.state is pair.theirs.state is CallState.ACTIVE
    assert len(pair.alice.of(Payload)) == len(pair.bob.of(Payload)) == 5000


@pytest.mark.parametrize("messages", [0, c.CONTROL_WINDOW], ids=["alone", "with messages that wait"])
def test_address_that_does_not_agree_gets_no_media_and_one_small_record_a_second(messages: int) -> None:
    pair = call()
    talk(pair, 1)
    moved(pair)
    start = pair.world.now
    talk(pair, c.CONSENT_LAPSES_S + 1)
    later = pair.world.now
    for _ in range(messages):
        pair.theirs.send_control(c.FIRST_ENGINE_MESSAGE, bytes(c.CONTROL_BODY_BYTES), later)
    talk(pair, 20)
    got = sent_by_bob(pair, later)
    assert {len(sent.data) for sent in got} == {c.PROBE_DATAGRAM_BYTES}
    assert 18 <= len(got) <= 21
    assert max(sent.at for sent in sent_by_bob(pair, start) if len(sent.data) > len(SOUND)) <= (
        start + c.CONSENT_LAPSES_S
    )


def test_media_comes_back_with_the_agreement_of_that_address() -> None:
    pair = call()
    moved(pair)
    talk(pair, c.CONSENT_LAPSES_S + 10)
    pair.world.network.refuse = lambda sent: False
    pair.alice.address = ALICE
    start = pair.world.now
    talk(pair, 3)
    assert len([sent for sent in sent_by_bob(pair, start) if len(sent.data) > len(SOUND)]) > 50
    talk(pair, 80)
    assert pair.theirs.state is CallState.ACTIVE


def test_line_is_lost_after_seventy_five_seconds_whatever_comes_from_elsewhere() -> None:
    pair = call()
    talk(pair, 1)
    agreed = pair.theirs.line.path.lost_at - 75.0
    moved(pair)
    while pair.theirs.state is CallState.ACTIVE and pair.world.now < agreed + 100:
        pair.ours.line.liveness.heard(pair.world.now)  # Alice, who hears nothing, would leave before
        pair.ours.line.path._agreed(pair.world.now)
        talk(pair, 1)
    assert pair.bob.of(CallEnded) == [CallEnded(pair.theirs, Reason.LOST, remote=False)]
    assert agreed + 75.0 <= pair.world.now <= agreed + 76.5
    lost = pair.world.now
    talk(pair, 5)
    assert not sent_by_bob(pair, lost)


def test_answer_from_elsewhere_is_no_agreement_of_the_address_in_use() -> None:
    pair = call()
    talk(pair, 1)
    pair.alice.address = ELSEWHERE  # it hears what goes to Alice's address, and answers all of it from there

    def overheard(sent: Sent) -> bool:
        if sent.source == BOB and sent.destination == ALICE:
            pair.alice.endpoint.receive_datagram(sent.data, BOB, sent.at)
        return sent.source == BOB

    pair.world.network.refuse = overheard
    start = pair.world.now
    talk(pair, c.CONSENT_LAPSES_S + c.CONSENT_S)
    assert pair.theirs.address == ALICE and pair.theirs.state is CallState.ACTIVE
    assert pair.bob.endpoint.dropped[DropReason.TIMING] > 10, "its answers to the questions"
    media = [sent.at for sent in sent_by_bob(pair, start) if len(sent.data) > len(SOUND)]
    assert media and max(media) <= start + c.CONSENT_LAPSES_S


@pytest.mark.parametrize("ping_due", [0.001, 0.01, 0.05, 0.07, 0.5])
def test_timer_of_an_address_that_does_not_agree_is_never_in_the_past(ping_due: float) -> None:
    pair = call()
    peer, endpoint = pair.theirs, pair.bob.endpoint
    lapse = peer.line.path.lost_at - c.CONSENT_S - c.LOST_TIMEOUT_S + c.CONSENT_LAPSES_S
    peer.send(Channel.AUDIO, SOUND, lapse - 0.001, padded_to=PADDED)
    endpoint.datagrams_to_send(lapse - 0.001)
    peer.line.timing.next_ping = lapse + ping_due
    peer.line.liveness.heard(lapse)
    for tick in range(200):
        now = lapse + tick / 1000
        endpoint.handle_timer(now)
        endpoint.datagrams_to_send(now)
        at = endpoint.next_timer()
        assert at is not None and at > now, f"{tick} ms after it has lapsed"


def test_goodbye_reaches_an_address_that_does_not_agree() -> None:
    pair = call()
    moved(pair)
    talk(pair, c.CONSENT_LAPSES_S + 2)
    log = pair.world.network.log
    before = len(log)
    pair.theirs.hangup(Reason.HUNG_UP, pair.world.now)
    pair.world.run(0.01)
    assert [sent.destination for sent in log[before:] if sent.source == BOB] == [ALICE] * c.GOODBYE_COPIES
    pair.world.run(5)
    assert not pair.bob.endpoint._state.peers


# ---- what a datagram was


def test_only_what_the_keys_of_a_line_prove_counts_as_genuine() -> None:
    _, alice, bob = two()
    peer, seen = alice.endpoint.dial([BOB], 0.0), set()
    assert not peer.answered
    for _ in range(4):
        for name, sender, receiver in (("bob", alice, bob), ("alice", bob, alice)):
            for data, _ in sender.endpoint.datagrams_to_send(0.0):
                ours = receiver.endpoint.receive_datagram(data, sender.address, 0.0)
                seen.add((name, DatagramType(data[0]).name, ours))
                assert receiver.endpoint.receive_datagram(data[:-1], sender.address, 0.0) is False
    assert peer.established and peer.answered
    assert seen == {
        ("bob", "KNOCK", False),
        ("alice", "COOKIE", False),
        ("bob", "INITIATION", False),
        ("alice", "RESPONSE", True),
        ("bob", "CONFIRMATION", True),
        ("alice", "DATA", True),
        ("bob", "DATA", True),
    }
    peer.nudge(0.0)
    ((data, _),) = alice.endpoint.datagrams_to_send(0.0)
    assert bob.endpoint.receive_datagram(data, ELSEWHERE, 0.0) is None, "genuine, from where no line goes to"
    for junk in (b"", b"\6" + bytes(40), b"\4\3" + bytes(40), b"\1\3" + bytes(82), b"?" * 100):
        assert bob.endpoint.receive_datagram(junk, ELSEWHERE, 0.0) is False
