"""Floods from those who have proven their addresses: newcomers get their turn, and each handshake costs what it may."""

from collections.abc import Callable
from random import Random

import pytest
from netem import ALICE, BOB, two
from opening import Opening

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.events import HandshakeDone
from p2pcall.proto.handshake import noise
from p2pcall.proto.handshake.kem import KemPair
from p2pcall.proto.wire import DatagramType, DropReason, PatternId, Suites
from p2pcall.types import Address

EVE = StaticKey.from_private(bytes(range(32)))
ELSEWHERE: Address = ("203.0.113.66", 6666)

# ---- newcomers

NETWORKS = 32
FLOOD_S = 60
CALLERS = 58
LEAST_ANSWERED = 55
UNSEEN_PER_S, ALL_PER_S = 9, 20
"""Of each network: a little less than an address gets back, so that it has its whole burst each time; and all that a
site may have."""


def of_addresses(network: int, number: int) -> Address:
    """A network is one IPv4 address."""
    return f"198.51.100.{network}", number


def of_sites(network: int, number: int) -> Address:
    """A network is an IPv6 site that uses each of its 256 networks in turn."""
    return f"2001:db8:{network:x}:{number % 256:x}::1", number


class Flooder:
    """Asks for new handshakes from one address after another, without the work of making them."""

    def __init__(self, bob: Endpoint) -> None:
        self._bob, self._random = bob, Random("flooder")
        self._kem = KemPair.generate(self._random.randbytes).public

    def ask(self, home: Address, now: float) -> bool:
        """Knock, take the cookie, ask once: whether there was a response."""
        random, suite, index = self._random, Suites.CHACHAPOLY, self._random.getrandbits(32)
        fields = (random.randbytes(n) for n in (c.TOKEN_BYTES, c.KNOCK_NONCE_BYTES, c.KNOCK_TIME_BYTES))
        knock = wire.pack_knock(PatternId.XXHFS, suite, index, *fields) + random.randbytes(c.MAC_BYTES)
        (given,) = self._say([knock], home, now)
        cookie = wire.parse_cookie(given)
        assert isinstance(cookie, wire.Cookie)
        header = wire.pack_initiation_header(PatternId.XXHFS, suite, suite, index)
        whole = header + random.randbytes(c.KEY_BYTES) + self._kem + random.randbytes(c.COMMITMENT_BYTES)
        return bool(self._say(wire.pack_parts(whole, suite, index, cookie.cookie), home, now))

    def _say(self, datagrams: list[bytes], home: Address, now: float) -> list[bytes]:
        for data in datagrams:
            self._bob.receive_datagram(data, home, now)
        return [data for data, _ in self._bob.datagrams_to_send(now)]


@pytest.mark.parametrize(("home_of", "per_s"), [(of_addresses, UNSEEN_PER_S), (of_sites, ALL_PER_S)])
def test_32_hostile_networks_do_not_starve_a_new_caller(
    home_of: Callable[[int, int], Address], per_s: int
) -> None:
    """Each caller tries once: one knock, one initiation, at a moment of its own."""
    _, _, bob = two()
    flooder, asked, granted, answered = Flooder(bob.endpoint), 0, 0, 0
    chance = Random("callers")
    callers = sorted(chance.uniform(1.0, FLOOD_S - 1) for _ in range(CALLERS))
    for tick in range(FLOOD_S * per_s):
        now = 1000.0 + tick / per_s
        bob.endpoint.handle_timer(now)
        for network in range(NETWORKS):
            asked += 1
            granted += flooder.ask(home_of(network, tick), now)
        while callers and callers[0] <= now - 1000.0:
            callers.pop(0)
            home: Address = (f"192.0.2.{len(callers)}", 1)
            caller = Opening(
                Endpoint(EVE, Random(f"caller {len(callers)}").randbytes), bob.endpoint, home, BOB, now
            )
            caller.get_cookie().get_parts()
            for part in caller.parts:
                bob.endpoint.receive_datagram(part, home, now)
            answers = bob.endpoint.datagrams_to_send(now)
            answered += [(data[0], to) for data, to in answers] == [(DatagramType.RESPONSE, home)]
    print(
        f"{home_of.__name__}: {NETWORKS} networks asked {asked} times in {FLOOD_S} s and were answered {granted} "
        f"times; of {CALLERS - len(callers)} new callers with one try each {answered} were answered"
    )
    assert CALLERS - len(callers) == CALLERS
    assert granted > 0.9 * FLOOD_S * c.HANDSHAKE_RATE_PER_S, "they take all that there is"
    assert answered >= LEAST_ANSWERED


# ---- what a handshake costs


@pytest.fixture
def dh(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of DH from now on, as a list of one."""
    count, real = [0], noise.bindings.crypto_scalarmult

    def counted(*args: bytes) -> bytes:
        count[0] += 1
        return bytes(real(*args))

    monkeypatch.setattr(noise.bindings, "crypto_scalarmult", counted)
    return count


def test_refused_confirmations_cost_three_dh_for_each_handshake(dh: list[int]) -> None:
    """All of them are right up to the last byte, so that each one costs what the right one does."""
    _, _, bob = two()
    handshakes, copies = 50, 100
    for number in range(handshakes):
        home: Address = (f"198.51.100.{number}", 1)
        now = 1000.0 + number
        bob.endpoint.handle_timer(now)
        begun = Opening(Endpoint(EVE, Random(f"eve {number}").randbytes), bob.endpoint, home, BOB, now)
        confirmation = begun.get_cookie().get_parts().get_response().get_confirmation().confirmation
        index = begun.confirmation[4:8]
        dh[0] = 0
        bad = confirmation[:-1] + bytes([confirmation[-1] ^ 1])
        for _ in range(copies):
            bob.endpoint.receive_datagram(bad, ELSEWHERE, now)
        assert dh[0] == 0, "from elsewhere it is not even read"
        for _ in range(copies):
            bob.endpoint.receive_datagram(bad, home, now)
        assert dh[0] == c.MAX_CONFIRMATION_FAILURES == 3
        assert int.from_bytes(index, "big") not in bob.endpoint._admission
        begun.confirm()
        assert bob.endpoint.next_event() is None, "it is forgotten"
        assert dh[0] == 3
    dropped = bob.endpoint.dropped
    print(
        f"{handshakes} half-open handshakes, {2 * copies} refused confirmations for each: 3 DH each; "
        f"dropped: {dict(dropped)}"
    )
    assert dropped[DropReason.HANDSHAKE] == 3 * handshakes
    assert dropped[DropReason.ADDRESS] == copies * handshakes
    assert dropped[DropReason.INDEX] == (copies - 3 + 1) * handshakes


@pytest.mark.parametrize("known", [False, True], ids=["XXhfs", "IKhfs"])
def test_two_refused_confirmations_do_not_end_a_handshake_and_three_do(known: bool) -> None:
    for refused in (c.MAX_CONFIRMATION_FAILURES - 1, c.MAX_CONFIRMATION_FAILURES):
        world, alice, bob = two()
        bob.endpoint.contacts([alice.static.public])
        expected = bob.static.public if known else None
        honest = Opening(alice.endpoint, bob.endpoint, ALICE, BOB, world.now, expected)
        honest.get_cookie().get_parts().get_response().get_confirmation()
        bad = honest.confirmation[:-1] + bytes([honest.confirmation[-1] ^ 1])
        for _ in range(refused):
            bob.endpoint.receive_datagram(bad, ALICE, world.now)
        honest.confirm()
        told = bob.endpoint.next_event()
        assert isinstance(told, HandshakeDone) == (refused < c.MAX_CONFIRMATION_FAILURES)


# ---- a contact who does not know us


def test_a_contact_who_does_not_know_us_is_reached_as_a_stranger_after_0_4_s() -> None:
    world, alice, bob = two()
    dialled_at = world.now
    peer = alice.endpoint.dial([BOB], dialled_at, bob.static.public)
    assert world.run(1, lambda: bool(alice.of(HandshakeDone)))
    assert world.now - dialled_at == pytest.approx(c.SECOND_WAY_S + 0.04)
    assert c.SECOND_WAY_S == 0.4
    assert peer.protocol_name.startswith("Noise_XXhfs_")
    assert peer.remote_static == bob.static.public
    assert bob.endpoint.dropped[DropReason.TAG] > 0, "as a contact we were asked for in vain"
    print(f"reached after {world.now - dialled_at:.2f} s, with 10 ms each way")
