"""Over the whole life of a line nobody gets more than came from there, who has not agreed, or does not any more.

A hostile caller, who has all keys of its line, writes forged source addresses on what it sends, at each stage in
turn. What is sent to each address is counted datagram by datagram.
"""

from collections.abc import Callable

import pytest
from netem import ALICE, BOB, Pair, Sent, World, call, two
from opening import Opening

from p2pcall.proto import constants as c
from p2pcall.proto.endpoint import Endpoint
from p2pcall.proto.events import CallEnded
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import Channel, DatagramType, DropReason
from p2pcall.types import Address

VICTIM: Address = ("203.0.113.9", 53)
SOUND = bytes(450)
PADDED = len(SOUND) + c.SLACK_BYTES
RECORD_BYTES = c.MIN_DATA_BYTES + c.RECORD_BYTES


class Account:
    """Bytes that came from each address and went to it, at one endpoint that is fed by hand."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.came: dict[Address, int] = {}
        self.went: dict[Address, int] = {}

    def hear(self, data: bytes, source: Address, now: float) -> list[tuple[bytes, Address]]:
        """One datagram with this source on it, and what leaves then."""
        self.came[source] = self.came.get(source, 0) + len(data)
        self._endpoint.receive_datagram(data, source, now)
        sent = self._endpoint.datagrams_to_send(now)
        for answer, to in sent:
            self.went[to] = self.went.get(to, 0) + len(answer)
        self.check(VICTIM)
        return sent

    def check(self, address: Address) -> None:
        assert self.went.get(address, 0) <= self.came.get(address, 0)


@pytest.mark.parametrize("known", [False, True], ids=["XXhfs", "IKhfs"])
def test_no_address_gets_more_than_came_from_it_before_there_is_a_line(known: bool) -> None:
    """Knocks, parts and confirmations, each a hundred times with the victim's address on them."""
    world, alice, bob = two()
    bob.endpoint.contacts([alice.static.public])
    now, expected = world.now, bob.static.public if known else None
    account = Account(bob.endpoint)
    dial = Opening(alice.endpoint, bob.endpoint, ALICE, BOB, now, expected)
    for _ in range(100):
        account.hear(dial.knock, VICTIM, now)
    cookies = account.went.get(VICTIM, 0)
    assert cookies == (1 if known else 100) * c.COOKIE_BYTES
    dial = Opening(alice.endpoint, bob.endpoint, ALICE, BOB, now, expected).get_cookie().get_parts()
    for _ in range(100):
        for part in dial.parts:
            account.hear(part, VICTIM, now)
    assert bob.endpoint.dropped[DropReason.COOKIE] == 200
    dial.get_response().get_confirmation()
    for _ in range(100):
        account.hear(dial.confirmation, VICTIM, now)
    assert bob.endpoint.dropped[DropReason.ADDRESS] == 100
    assert account.went[VICTIM] == cookies, "parts and confirmations have brought nothing"
    assert not bob.endpoint._state.peers
    dial.confirm()
    (peer,) = bob.endpoint._state.everyone
    assert peer.address == ALICE
    bob.endpoint.datagrams_to_send(now)
    print(f"of {account.came[VICTIM]} bytes that bore the victim's address {cookies} came back")


def forged(world: World, source: Address, when: Callable[[Sent], bool]) -> None:
    """From now on what Alice sends bears this address if `when` says so; what is sent there reaches nobody."""

    def refuse(sent: Sent) -> bool:
        if sent.source == ALICE and when(sent):
            world.network.send(sent.data, source, sent.destination, sent.at)
            return True
        return sent.destination == source

    world.network.refuse = refuse


def talk(pair: Pair, seconds: float) -> None:
    """Both send sound, 50 a second."""
    for _ in range(round(seconds * 50)):
        for peer in (pair.ours, pair.theirs):
            peer.send(Channel.AUDIO, SOUND, pair.world.now, padded_to=PADDED)
        pair.world.run(0.02)


def never_more_than_came(log: list[Sent], address: Address) -> tuple[int, int]:
    """Check it at every moment; how many bytes came and went in the end."""
    came = went = 0
    for sent in log:
        if sent.source == address:
            came += len(sent.data)
        elif sent.destination == address:
            went += len(sent.data)
        assert went <= came, f"at {sent.at}"
    return came, went


@pytest.mark.parametrize("share", [1, 5, 50], ids=["all", "a fifth", "one a second"])
def test_no_address_gets_more_than_came_from_it_unless_it_agreed(share: int) -> None:
    """Records with the victim's address among those with the caller's own, from all of them to few."""
    pair = call()
    talk(pair, 1)
    start, count = pair.world.now, [0]

    def when(sent: Sent) -> bool:
        count[0] += 1
        return count[0] % share == 0

    forged(pair.world, VICTIM, when)
    talk(pair, 100)
    log = [sent for sent in pair.world.network.log if sent.at >= start]
    came, went = never_more_than_came(log, VICTIM)
    to_victim = [sent for sent in log if sent.destination == VICTIM]
    assert came > 0
    assert {len(sent.data) for sent in to_victim} <= {RECORD_BYTES}, "no media"
    assert {sent.data[0] for sent in to_victim} <= {DatagramType.DATA}
    assert pair.theirs.address == ALICE
    print(f"1 in {share} forged for 100 s: {came} bytes came from the victim's address, {went} went there")


@pytest.mark.parametrize(
    "elsewhere", [True, False], ids=["records from elsewhere", "records with its address"]
)
def test_address_that_goes_silent_gets_no_media_after_30_s_and_nothing_after_75_s(elsewhere: bool) -> None:
    """It has agreed once. Then nobody hears there any more, while the caller goes on sending, from wherever."""
    pair = call()
    world, silent_at = pair.world, pair.world.now
    talk(pair, 20)  # it has agreed again by then
    silent_at = world.now
    source = VICTIM if elsewhere else ALICE

    def refuse(sent: Sent) -> bool:
        if elsewhere and sent.source == ALICE:
            world.network.send(sent.data, source, sent.destination, sent.at)
            return True
        return sent.destination in (ALICE, VICTIM)

    world.network.refuse = refuse
    for _ in range(100):
        talk(pair, 1)
        if pair.bob.of(CallEnded):
            break
    ended_at = world.now
    talk(pair, 60)
    there = [sent for sent in world.network.log if sent.destination == ALICE and sent.at >= silent_at]
    media = [sent.at - silent_at for sent in there if len(sent.data) > RECORD_BYTES]
    asked = [sent for sent in there if sent.at - silent_at > c.CONSENT_LAPSES_S]
    assert pair.bob.of(CallEnded) == [CallEnded(pair.theirs, Reason.LOST, remote=False)]
    assert ended_at - silent_at <= c.CONSENT_S + c.LOST_TIMEOUT_S + 1 == 76
    assert max(media) <= c.CONSENT_LAPSES_S == 30
    assert {len(sent.data) for sent in asked} == {RECORD_BYTES}
    assert max(sent.at for sent in there) <= ended_at
    assert len(asked) <= ended_at - silent_at - c.CONSENT_LAPSES_S + 1, "one a second"
    if elsewhere:
        never_more_than_came([sent for sent in world.network.log if sent.at >= silent_at], VICTIM)
    print(
        f"records {'from elsewhere' if elsewhere else 'with its address'}: media for {max(media):.1f} s, then "
        f"{len(asked)} small records, line lost after {ended_at - silent_at:.0f} s, nothing later"
    )


def test_address_that_agrees_again_gets_media_again() -> None:
    pair = call()
    talk(pair, 20)
    pair.world.network.refuse = lambda sent: sent.destination == ALICE
    talk(pair, 40)
    assert pair.theirs.line.path.lapsed
    pair.world.network.refuse = lambda sent: False
    talk(pair, 3)
    assert not pair.theirs.line.path.lapsed
    before = len(pair.world.network.log)
    talk(pair, 1)
    media = [one for one in pair.world.network.log[before:] if one.destination == ALICE]
    assert len([one for one in media if len(one.data) > RECORD_BYTES]) >= 49
