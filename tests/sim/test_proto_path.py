"""A line's address: media goes to one that has answered a probe, and a forged source address gets next to nothing."""

from random import Random

from netem import ALICE, BOB, Pair, Sent, World, call, line, two

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import IncomingCall, Payload
from p2pcall.proto.line.path import Path
from p2pcall.proto.line.timing import pack_ping
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import Channel, DatagramType, DropReason, pack_frame
from p2pcall.types import Address

VICTIM: Address = ("203.0.113.9", 53)
ELSEWHERE: Address = ("198.51.100.7", 4000)
SOUND = bytes(450)
PING = pack_frame(Channel.TIMING, pack_ping(1))


def talk(pair: Pair, seconds: float) -> None:
    """Both send sound, 50 a second."""
    for _ in range(round(seconds * 50)):
        for peer in (pair.ours, pair.theirs):
            peer.send(Channel.AUDIO, SOUND, pair.world.now, padded_to=len(SOUND) + c.SLACK_BYTES)
        pair.world.run(0.02)


def sent_to(world: World, address: Address) -> list[Sent]:
    return [sent for sent in world.network.log if sent.destination == address]


def came_from(world: World, address: Address) -> list[Sent]:
    return [sent for sent in world.network.log if sent.source == address]


def media(log: list[Sent]) -> list[Sent]:
    return [sent for sent in log if sent.data[0] == DatagramType.DATA and len(sent.data) > len(SOUND)]


def expect_no_more_than_came(world: World, address: Address) -> None:
    back, there = sent_to(world, address), came_from(world, address)
    assert 0 < len(back) <= len(there)
    assert sum(len(sent.data) for sent in back) <= sum(len(sent.data) for sent in there)


def seal(pair: Pair, plaintext: bytes) -> bytes:
    """A datagram of Alice's as her code never makes one."""
    datagram = pair.ours.line.keys.epochs.seal(plaintext, pair.world.now)
    assert datagram is not None
    return datagram


def forge(pair: Pair, payload: bytes = SOUND) -> None:
    """One datagram of Alice's with the victim's address on it."""
    pair.ours.send(Channel.AUDIO, payload, pair.world.now)
    for data, _ in pair.alice.endpoint.datagrams_to_send(pair.world.now):
        pair.world.network.send(data, VICTIM, BOB, pair.world.now)


# ---- the rule


def test_media_is_never_sent_to_an_address_that_did_not_answer() -> None:
    pair = call()
    talk(pair, 1)
    forge(pair)
    talk(pair, 5)
    assert not media(sent_to(pair.world, VICTIM))
    expect_no_more_than_came(pair.world, VICTIM)
    assert pair.theirs.address == ALICE
    assert len(pair.alice.of(Payload)) == 300, "none of it missed the caller"


def test_media_is_never_sent_to_an_address_that_did_not_answer_whatever_goes_on_there() -> None:
    pair = call()
    pair.alice.address = VICTIM  # all that Alice sends; what is sent there reaches nobody
    pair.world.network.refuse = lambda sent: sent.destination == VICTIM
    talk(pair, 20)
    assert not media(sent_to(pair.world, VICTIM))
    assert {len(sent.data) for sent in sent_to(pair.world, VICTIM)} == {c.PROBE_DATAGRAM_BYTES}
    assert len(sent_to(pair.world, VICTIM)) <= 22, "repeated at the pace of a handshake"
    expect_no_more_than_came(pair.world, VICTIM)
    assert pair.theirs.address == ALICE


def test_media_is_never_sent_to_a_first_address_that_did_not_answer() -> None:
    world, alice, bob = two()
    ours = alice.endpoint.dial([BOB], world.now)

    def forge_all(sent: Sent) -> bool:
        """From the first record on all that Alice sends bears the victim's address."""
        if sent.source == ALICE and sent.data[0] == DatagramType.DATA:
            world.network.send(sent.data, VICTIM, sent.destination, sent.at)
            return True
        return sent.destination == VICTIM

    world.network.refuse = forge_all
    assert world.run(1, lambda: ours.established)
    ours.invite("alice", True, True, world.now)
    assert world.run(1, lambda: bool(bob.of(IncomingCall)))
    pair = Pair(world, alice, bob, ours, bob.of(IncomingCall)[0].peer)
    pair.theirs.accept("bob", True, True, world.now)
    talk(pair, 10)
    assert pair.theirs.state is CallState.ACTIVE
    assert pair.theirs.address == ALICE, "which has brought a cookie back"
    assert not media(sent_to(world, VICTIM))
    expect_no_more_than_came(world, VICTIM)
    assert {len(sent.data) for sent in sent_to(world, VICTIM)} == {c.PROBE_DATAGRAM_BYTES}


def test_forged_datagram_brings_a_victim_no_more_than_itself() -> None:
    pair = call()
    talk(pair, 1)
    for _ in range(200):
        forge(pair, bytes(9))
        talk(pair, 0.02)
    expect_no_more_than_came(pair.world, VICTIM)
    assert pair.theirs.address == ALICE


def test_datagrams_bring_a_probe_when_they_are_together_as_long() -> None:
    pair = call()
    bob = pair.bob.endpoint
    for size, probes in ((c.RECORD_BYTES - 1, 0), (len(PING), 1), (c.RECORD_BYTES // 2, 0)):
        bob.receive_datagram(seal(pair, PING.ljust(size, b"\0")), VICTIM, pair.world.now)
        assert len([to for _, to in bob.datagrams_to_send(pair.world.now) if to == VICTIM]) == probes


def test_a_record_that_is_dropped_makes_no_address_a_candidate() -> None:
    """Else a question would wait that nothing sends."""
    pair = call()
    broken = bytes([Channel.AUDIO]) + b"\xff" * (c.RECORD_BYTES - 1)
    pair.world.network.send(seal(pair, broken), VICTIM, BOB, pair.world.now)
    assert pair.world.run(1, lambda: pair.bob.endpoint.dropped == {DropReason.FRAME: 1})
    assert pair.theirs.line.path.candidate is None


def test_number_of_a_probe_cannot_be_guessed() -> None:
    pair = call()
    forge(pair)
    pair.world.run(0.02)
    (probe,) = sent_to(pair.world, VICTIM)
    assert len(probe.data) == c.PROBE_DATAGRAM_BYTES
    for guess in range(0, 3_000_000, 1000):  # it is no clock of the session
        pong = pack_frame(Channel.TIMING, b"\2" + guess.to_bytes(8, "big") + bytes(12))
        pair.bob.endpoint.receive_datagram(seal(pair, pong), VICTIM, pair.world.now)
    assert pair.theirs.address == ALICE


# ---- honest people move


def test_call_roams_to_an_address_that_answers() -> None:
    pair = call()
    pair.alice.address = ELSEWHERE
    pair.ours.send(3, b"from elsewhere", pair.world.now)
    pair.world.run(0.3)
    assert pair.theirs.address == ELSEWHERE
    pair.theirs.send(3, b"back", pair.world.now)
    pair.world.run(0.1)
    assert [payload.data for payload in pair.alice.of(Payload)] == [b"back"]
    pair.world.run(30)
    assert pair.ours.state is pair.theirs.state is CallState.ACTIVE


def test_media_follows_a_round_trip_after_the_move() -> None:
    pair = call()
    talk(pair, 1)
    pair.alice.address = ELSEWHERE
    moved_at = pair.world.now
    talk(pair, 1)
    followed = media(sent_to(pair.world, ELSEWHERE))
    assert followed[0].at - moved_at <= 0.05
    assert len(followed) >= 47


def test_lost_probe_is_repeated() -> None:
    pair = call()
    pair.alice.address = ELSEWHERE
    moved_at = pair.world.now
    pair.world.network.refuse = lambda sent: sent.destination == ELSEWHERE and sent.at < moved_at + 0.3
    talk(pair, 1)
    assert pair.theirs.address == ELSEWHERE


def test_quiet_call_roams_too() -> None:
    pair = call()
    pair.world.run(2)
    pair.alice.address = ELSEWHERE
    pair.world.run(1.1)
    assert pair.theirs.address == ELSEWHERE


def test_first_probe_may_be_lost() -> None:
    pair = line()
    ours, theirs, world = pair.ours, pair.theirs, pair.world
    started_at = world.now
    world.network.refuse = lambda sent: sent.data[0] == DatagramType.DATA and sent.at < started_at + 0.1
    ours.invite("alice", True, True, world.now)
    assert world.run(1, lambda: bool(pair.bob.of(IncomingCall)))
    theirs.accept("bob", True, True, world.now)
    talk(pair, 1)
    for node in (pair.alice, pair.bob):
        assert len(node.of(Payload)) > 30


def test_call_does_not_roam_to_forged_replayed_or_late_datagrams() -> None:
    pair = call()
    now, bob = pair.world.now, pair.bob.endpoint
    pair.ours.send(3, b"the first of two", now)
    pair.ours.send(3, b"the second of two", now)
    one, two_ = (data for data, _ in pair.alice.endpoint.datagrams_to_send(now))
    bob.receive_datagram(two_, ALICE, now)
    bob.receive_datagram(one, ELSEWHERE, now)
    bob.receive_datagram(two_, ELSEWHERE, now)
    bob.receive_datagram(two_[:-1] + b"\0", ELSEWHERE, now)
    assert not [to for _, to in bob.datagrams_to_send(now) if to == ELSEWHERE]
    assert pair.theirs.address == ALICE


def test_call_that_is_over_goes_nowhere_else() -> None:
    pair = call()
    pair.theirs.hangup(Reason.HUNG_UP, pair.world.now)
    pair.alice.address = ELSEWHERE
    pair.ours.send(3, SOUND, pair.world.now)
    pair.world.run(2)
    assert not sent_to(pair.world, ELSEWHERE)


# ---- the check alone

PONG = bytes(12)


def path() -> Path:
    """Of a line whose first address, Alice's, has brought a cookie back at 0."""
    return Path(Random(1).randbytes, ALICE, 0.0)


def answer(checked: Path) -> bytes:
    """What somebody at the candidate's address says to the probe that is due."""
    due = checked.probe_due()
    assert due is not None
    return b"\2" + due[0][1:] + PONG


def test_first_address_has_agreed_by_its_cookie() -> None:
    fresh = path()
    fresh.heard(ALICE, c.PROBE_DATAGRAM_BYTES, 0.0)
    assert fresh.probe_due() is None
    assert fresh.consent_due(c.CONSENT_S - 0.01) is None
    assert not fresh.lapsed


def test_answer_counts_only_from_the_candidate_and_once() -> None:
    checked = path()
    assert not checked.answered(b"\2" + bytes(20), ELSEWHERE, 0.5)
    checked.heard(ELSEWHERE, c.PROBE_DATAGRAM_BYTES, 1.0)
    pong = answer(checked)
    assert not checked.answered(pong, ALICE, 1.1)
    assert not checked.answered(pong[:-1], ELSEWHERE, 1.1)
    assert not checked.answered(pack_ping(0), ELSEWHERE, 1.1)
    assert not checked.answered(b"\2" + bytes(20), ELSEWHERE, 1.1)
    assert checked.answered(pong, ELSEWHERE, 1.1)
    assert checked.address == ELSEWHERE
    assert not checked.answered(pong, ELSEWHERE, 1.2)


def test_there_is_one_candidate_at_a_time_each_with_its_own_number() -> None:
    checked = path()
    checked.heard(VICTIM, c.PROBE_DATAGRAM_BYTES, 1.0)
    first = answer(checked)
    checked.heard(ELSEWHERE, c.PROBE_DATAGRAM_BYTES, 1.0)
    second = answer(checked)
    assert first != second
    assert not checked.answered(first, VICTIM, 1.1)
    assert not checked.answered(first, ELSEWHERE, 1.1)
    assert checked.answered(second, ELSEWHERE, 1.1)


def test_candidate_is_forgotten_while_the_own_address_is_heard() -> None:
    checked = path()
    checked.heard(VICTIM, c.PROBE_DATAGRAM_BYTES, 1.0)
    checked.heard(ALICE, c.PROBE_DATAGRAM_BYTES, 1.0)
    assert checked.probe_due() is None


def test_probes_leave_only_in_return_and_at_the_waits_of_a_handshake() -> None:
    checked = path()
    times = []
    for tick in range(300):
        checked.heard(ELSEWHERE, c.PROBE_DATAGRAM_BYTES, tick / 100)
        if checked.probe_due() is not None:
            times.append(tick / 100)
        assert checked.probe_due() is None
    assert times == [0.0, 0.25, 0.75, 1.75, 2.75]
