"""Long calls: new keys every two minutes, no gap, no key kept, each datagram under its own epoch alone."""

import gc
from collections.abc import Callable
from random import Random

import pytest
from netem import ALICE, BOB, Conditions, Pair, Sent, call, line

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import CallEnded, LineInterrupted, LineResumed, Payload
from p2pcall.proto.handshake.noise import CipherState
from p2pcall.proto.line.epochs import Epoch
from p2pcall.proto.line.rekey import Rekey
from p2pcall.proto.line.session import Session
from p2pcall.proto.messages import Reason
from p2pcall.proto.peer import Peer
from p2pcall.proto.wire import Channel, DatagramType, DropReason

VOICE = bytes(255)
LOSS = 0.02


def epoch(peer: Peer) -> Epoch:
    return peer.line.keys.epochs.current


def talk(pair: Pair, seconds: float, each: Callable[[], None] = lambda: None) -> list[int]:
    """Both send numbered sound, 50 a second; how many each sent."""
    sent = 0
    for _ in range(round(seconds * 50)):
        for peer in (pair.ours, pair.theirs):
            peer.send(Channel.AUDIO, sent.to_bytes(4, "big") + VOICE[4:], pair.world.now)
        sent += 1
        pair.world.run(0.02)
        each()
    pair.world.run(0.2)
    return list(range(sent))


class Wire:
    """Carries datagrams between two ends at once, but for those that it loses, in steps of a second or so."""

    STEP_S = 1.4

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair = pair
        self.random = Random(seed)
        self.lost = 0
        self.told: list[object] = []

    def step(self) -> None:
        world = self.pair.world
        world.now += self.STEP_S
        ends = (self.pair.alice, ALICE, self.pair.bob), (self.pair.bob, BOB, self.pair.alice)
        for node, _, _ in ends:
            node.endpoint.handle_timer(world.now)
        carried = True
        while carried:
            carried = False
            for node, address, other in ends:
                for data, _ in node.endpoint.datagrams_to_send(world.now):
                    carried = True
                    if self.random.random() < LOSS:
                        self.lost += 1
                    else:
                        other.endpoint.receive_datagram(data, address, world.now)
                while (event := node.endpoint.next_event()) is not None:
                    self.told.append(event)


def test_ten_hours_with_new_keys_every_two_minutes_have_no_gap() -> None:
    pair = call()
    wire = Wire(pair, 5)
    end = pair.world.now + 36_000
    epochs = {epoch(pair.ours).index: 0.0}
    sent = 0
    while pair.world.now < end:
        sent += 1
        for peer in (pair.ours, pair.theirs):
            peer.send(Channel.VIDEO, sent.to_bytes(4, "big"), pair.world.now)
        wire.step()
        epochs.setdefault(epoch(pair.ours).index, pair.world.now)
        for peer in (pair.ours, pair.theirs):
            assert pair.world.now - epoch(peer).born < c.REKEY_AFTER_S + 10
    heard = sum(isinstance(event, Payload) for event in wire.told)
    assert 2 * sent - heard <= wire.lost < 0.03 * sent * 8
    assert len(epochs) >= 36_000 / c.REKEY_AFTER_S
    assert pair.ours.state is pair.theirs.state is CallState.ACTIVE
    assert not [event for event in wire.told if isinstance(event, CallEnded | LineInterrupted)]
    for node in (pair.alice, pair.bob):
        assert node.endpoint.dropped == {}
        assert len(node.endpoint._state.peers) <= 3, "its own index, the running epoch's, the previous one's"


@pytest.mark.parametrize("loss", [0.0, LOSS])
def test_new_keys_in_the_middle_of_talking_cost_no_frame(loss: float) -> None:
    pair = call()
    pair.world.run(c.REKEY_AFTER_S - c.REKEY_LEAD_S - 2)
    first = epoch(pair.ours).index
    pair.world.network.conditions = Conditions(loss=loss, delay=0.03, jitter=0.02)
    start = len(pair.world.network.log)
    sent = talk(pair, 8)
    assert epoch(pair.ours).index != first
    for node in (pair.alice, pair.bob):
        heard = {int.from_bytes(payload.data[:4], "big") for payload in node.of(Payload)}
        assert len(set(sent) - heard) <= len(sent) * 2 * loss
        assert not node.endpoint.dropped
    sizes = {len(sent.data) for sent in pair.world.network.log[start:]}
    assert sizes == {c.MIN_DATA_BYTES + c.RECORD_BYTES}, "the rekeying does not show"


def test_rekeying_adds_no_datagram_while_voice_flows() -> None:
    pair = call()
    talk(pair, 1)
    pair.world.run(c.REKEY_AFTER_S - c.REKEY_LEAD_S - 2)
    talk(pair, 0.2)
    start, first = len(pair.world.network.log), epoch(pair.ours).index
    sent = talk(pair, 3)
    assert epoch(pair.ours).index != first
    voice = [sent for sent in pair.world.network.log[start:] if sent.at <= pair.world.now - 0.2]
    assert len(voice) <= 2 * len(sent) + 2


def test_every_epoch_is_wiped_soon_after_the_next_began() -> None:
    pair = call()
    first = [epoch(peer).session for peer in (pair.ours, pair.theirs)]
    pair.world.run(c.REKEY_AFTER_S + c.PREVIOUS_EPOCH_S)
    for session in first:
        assert session._sending is session._receiving is None
    assert epoch(pair.ours).session._sending is not None


def test_old_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but this test itself holds them any more: not the line, not Noise, not a cache."""
    keys: list[object] = []
    make = Session.__init__

    def remember(self: Session, sending: CipherState, receiving: CipherState, remote_index: int) -> None:
        make(self, sending, receiving, remote_index)
        keys.extend((sending.k, receiving.k, self._sending, self._receiving))

    monkeypatch.setattr(Session, "__init__", remember)
    pair = call()
    pair.world.run(c.REKEY_AFTER_S + c.PREVIOUS_EPOCH_S)
    assert len(keys) == 16, "two epochs on two sides"
    gc.collect()

    held = [[holder for holder in gc.get_referrers(key) if holder is not keys] for key in keys]
    assert held[:8] == [[]] * 8
    assert all(held[at] for at in (10, 11, 14, 15)), "and what is in use is found"


def test_no_epoch_seals_or_opens_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rekey, "receive", lambda self, body, now: DropReason.REKEY)
    pair = call()
    born = epoch(pair.ours).born
    pair.world.run(c.REJECT_AFTER_S + 5, lambda: bool(pair.alice.of(CallEnded)))
    assert pair.world.now == pytest.approx(born + c.REJECT_AFTER_S, abs=0.1)
    assert pair.alice.told[-1] == CallEnded(pair.ours, Reason.LOST, remote=False)
    last = [sent for sent in pair.world.network.log if sent.source == ALICE][-1]
    assert last.at < born + c.REJECT_AFTER_S


def test_nothing_leaves_under_an_epoch_that_is_over_even_if_the_timer_is_late() -> None:
    pair = call()
    pair.world.run(1)
    late = epoch(pair.ours).born + c.REJECT_AFTER_S
    pair.ours.send(Channel.VIDEO, b"late", late)
    assert pair.alice.endpoint.datagrams_to_send(late) == []


def test_datagrams_of_one_line_and_epoch_do_not_open_in_another() -> None:
    pair, other = call(seed=1), call(seed=2)
    pair.world.run(c.REKEY_AFTER_S + 1)
    assert epoch(pair.ours).index != pair.ours.index
    for source, target in ((pair, other), (other, pair)):
        epoch(source.ours).session._counter = 1000
        source.ours.send(Channel.AUDIO, VOICE, source.world.now)
        ((datagram, _),) = source.alice.endpoint.datagrams_to_send(source.world.now)
        index = epoch(target.theirs).index
        mixed = datagram[:4] + index.to_bytes(4, "big") + datagram[8:]
        target.bob.endpoint.receive_datagram(mixed, ALICE, target.world.now)
        assert target.bob.endpoint.next_event() is None
        assert target.bob.endpoint.dropped == {DropReason.AUTHENTICATION: 1}


def test_datagrams_of_one_epoch_do_not_open_in_the_next() -> None:
    pair = call()
    log: list[Sent] = pair.world.network.log
    pair.world.run(c.REKEY_AFTER_S - c.REKEY_LEAD_S - 1)
    old = [sent.data for sent in log if sent.data[0] == DatagramType.DATA and sent.destination == BOB]
    pair.world.run(3)
    new_index = epoch(pair.theirs).index.to_bytes(4, "big")
    assert old[-1][4:8] != new_index
    dropped = pair.bob.endpoint.dropped
    for datagram in old[-5:]:
        pair.bob.endpoint.receive_datagram(datagram[:4] + new_index + datagram[8:], ALICE, pair.world.now)
        pair.bob.endpoint.receive_datagram(datagram, ALICE, pair.world.now)
    assert dropped[DropReason.REPLAY] >= 5
    assert dropped[DropReason.REPLAY] + dropped[DropReason.AUTHENTICATION] == 10
    pair.world.run(20)
    pair.bob.endpoint.receive_datagram(old[-1], ALICE, pair.world.now)
    assert dropped[DropReason.INDEX] == 1


def test_called_side_that_moves_while_keys_change_is_found() -> None:
    """The dialling side has switched, the other one has not, and comes back from somewhere else."""
    pair = call()
    world = pair.world
    first = epoch(pair.ours).index
    assert world.run(c.REKEY_AFTER_S, lambda: epoch(pair.ours).index != first)
    assert epoch(pair.theirs).index == pair.theirs.index
    world.network.refuse = lambda sent: True
    world.run(30)
    pair.bob.address = ("198.51.100.7", 4000)
    world.network.refuse = lambda sent: False
    assert world.run(2, lambda: bool(pair.alice.of(LineResumed)))
    world.run(1)
    assert pair.ours.address == ("198.51.100.7", 4000)
    assert epoch(pair.theirs).index != pair.theirs.index


@pytest.mark.parametrize("before_s", [1.0, 3.0])
def test_no_timer_stands_still_while_an_answer_waits_for_the_words(before_s: float) -> None:
    """The keys before the last are due to be wiped just when the answerer waits for a nonce that does not come."""
    pair = line()
    world, keys = pair.world, pair.theirs.line.epochs
    pair.ours.invite("alice", True, True, world.now)
    assert world.run(5, lambda: pair.theirs.state is CallState.INCOMING)
    pair.theirs.ring("bob", world.now)
    assert world.run(c.REKEY_AFTER_S, lambda: keys.current.index != pair.theirs.index)
    world.run(c.PREVIOUS_EPOCH_S - before_s)
    pair.theirs.accept("bob", True, True, world.now)
    world.network.refuse = lambda sent: sent.source == ALICE
    assert world.run(c.REVEAL_TIMEOUT_S + 1, lambda: bool(pair.bob.of(CallEnded)))
    assert keys._previous is None
    assert pair.bob.of(CallEnded)[0].reason is Reason.LOST


def test_the_answer_to_a_beginning_is_waited_for_from_when_it_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long the way is, and however little else happens meanwhile."""
    monkeypatch.setattr(Rekey, "receive", lambda self, body, now: DropReason.REKEY)
    pair = call(conditions=Conditions(delay=0.7))
    keys, control = pair.ours.line.keys, pair.ours.line.control
    assert pair.world.run(c.REKEY_AFTER_S, lambda: keys._begun is not None)
    first = keys._begun
    assert pair.world.run(10, lambda: not control.unacked)
    arrived_at = pair.world.now
    assert pair.world.run(2 * c.REKEY_RETRY_S, lambda: keys._begun is not first)
    assert pair.world.now - arrived_at == pytest.approx(c.REKEY_RETRY_S)
