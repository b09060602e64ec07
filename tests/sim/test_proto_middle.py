"""A man in the middle who relays both handshakes with keys of his own, or changes what passes."""

from dataclasses import dataclass
from random import Random

import pytest
from netem import ALICE, BOB, Node, Sent, World, two
from opening import Opening

from p2pcall.proto.call.table import CallState
from p2pcall.proto.endpoint import Endpoint, Peer, StaticKey
from p2pcall.proto.events import Accepted, HandshakeDone, HandshakeFailed, IncomingCall, Message
from p2pcall.proto.wire import DatagramType
from p2pcall.types import Address

MALLORY: Address = ("203.0.113.1", 1)


@dataclass(slots=True)
class Middle:
    """Mallory answers in Bob's place and dials Bob in Alice's; whatever she hears she says on."""

    world: World
    alice: Node
    bob: Node
    to_alice: Endpoint
    to_bob: Endpoint
    towards: dict[str, Peer]

    def relay(self, seconds: float) -> None:
        """All of Alice's datagrams go to Mallory, Bob's too."""
        for _ in range(int(seconds * 100)):
            self.world.now += 0.01
            now = self.world.now
            for node, mallory, there in ((self.alice, self.to_alice, BOB), (self.bob, self.to_bob, ALICE)):
                for endpoint in (node.endpoint, mallory):
                    endpoint.handle_timer(now)
                for data, _ in node.endpoint.datagrams_to_send(now):
                    mallory.receive_datagram(data, node.address, now)
                for data, _ in mallory.datagrams_to_send(now):
                    node.endpoint.receive_datagram(data, there, now)
                while (event := node.endpoint.next_event()) is not None:
                    node.told.append(event)
            self._say_on()

    def _say_on(self) -> None:
        for side, endpoint in (("alice", self.to_alice), ("bob", self.to_bob)):
            while (event := endpoint.next_event()) is not None:
                other = self.towards.get("bob" if side == "alice" else "alice")
                match event:
                    case HandshakeDone(peer):
                        self.towards[side] = peer
                    case IncomingCall(_, name, audio, video) if other is not None:
                        other.invite(name, audio, video, self.world.now)
                    case Accepted(_, name, audio, video) if other is not None:
                        other.accept(name, audio, video, self.world.now)
                    case Message(_, kind, body) if other is not None:
                        other.send_control(kind, body, self.world.now)


def middle() -> Middle:
    world, alice, bob = two()
    mallory = StaticKey.from_private(bytes(range(32)))
    to_alice, to_bob = (Endpoint(mallory, Random(seed).randbytes) for seed in (1, 2))
    return Middle(world, alice, bob, to_alice, to_bob, {})


def test_words_differ_when_somebody_relays_with_keys_of_his_own() -> None:
    between = middle()
    ours = between.alice.endpoint.dial([BOB], between.world.now)
    between.to_bob.dial([BOB], between.world.now)
    between.relay(0.5)
    ours.invite("alice", True, True, between.world.now)
    between.relay(0.5)
    ours.send_control(64, b"between friends", between.world.now)
    between.relay(0.5)
    theirs = between.bob.of(IncomingCall)[0].peer
    assert not any(peer.sas for peer in (ours, theirs, *between.towards.values())), "nobody has answered"
    theirs.accept("bob", True, True, between.world.now)
    between.relay(0.5)
    assert ours.state is theirs.state is CallState.ACTIVE
    assert [message.body for message in between.bob.of(Message)] == [b"between friends"], "she can relay"
    assert ours.sas != theirs.sas
    assert ours.sas == between.towards["alice"].sas
    assert theirs.sas == between.towards["bob"].sas
    assert ours.remote_static == theirs.remote_static == StaticKey.from_private(bytes(range(32))).public


def test_pinned_key_is_changed_when_somebody_relays_with_keys_of_his_own() -> None:
    between = middle()
    expected = between.bob.static.public
    peer = between.alice.endpoint.dial([BOB], between.world.now, expected)
    between.to_bob.dial([BOB], between.world.now, expected)
    between.relay(6)
    mallory = StaticKey.from_private(bytes(range(32))).public
    assert between.alice.told == [HandshakeFailed(peer, "key-changed", mallory)]
    assert between.to_alice.next_event() is None, "nothing of Alice was shown"
    assert "alice" not in between.towards


def test_caller_who_is_a_contact_cannot_be_posed_as_by_whoever_relays() -> None:
    between = middle()
    between.bob.endpoint.reach = "contacts"
    between.bob.endpoint.contacts([between.alice.static.public])
    between.alice.endpoint.dial([BOB], between.world.now, between.bob.static.public)
    between.to_bob.dial([BOB], between.world.now, between.bob.static.public)
    between.relay(6)
    assert between.bob.told == []
    assert "bob" not in between.towards


CHANGES = {
    "pattern": [(DatagramType.KNOCK, 2), (DatagramType.INITIATION, 24 + 2)],
    "offer": [(DatagramType.KNOCK, 3), (DatagramType.INITIATION, 3), (DatagramType.INITIATION, 24 + 3)],
    "choice": [(DatagramType.COOKIE, 2), (DatagramType.INITIATION, 24 + 4)],
    "index": [(DatagramType.KNOCK, 4), (DatagramType.INITIATION, 4), (DatagramType.INITIATION, 24 + 8)],
    "version": [(kind, 1) for kind in DatagramType if kind < DatagramType.CONFIRMATION],
}


@pytest.mark.parametrize("known", [False, True], ids=["XXhfs", "IKhfs"])
@pytest.mark.parametrize(
    ("kind", "at"),
    [
        pytest.param(*place, id=f"{what}-{place[0].name}")
        for what, places in CHANGES.items()
        for place in places
    ],
)
def test_no_line_comes_of_what_was_changed_on_the_path(kind: DatagramType, at: int, known: bool) -> None:
    """The path may make a handshake fail; it never makes it something else."""
    world, alice, bob = two(aes=True)
    honest = Opening(
        alice.endpoint, bob.endpoint, ALICE, BOB, world.now, bob.static.public if known else None
    )
    steps = [
        honest.get_cookie,
        honest.get_parts,
        honest.get_response,
        honest.get_confirmation,
        honest.confirm,
    ]
    names = {DatagramType.KNOCK: "knock", DatagramType.COOKIE: "cookie", DatagramType.RESPONSE: "response"}

    def change(data: bytes) -> bytes:
        return data[:at] + bytes([data[at] ^ 3]) + data[at + 1 :]

    reached = 0
    for step in steps:
        if kind is DatagramType.INITIATION and honest.parts:
            honest.parts = (change(honest.parts[0]), honest.parts[1])
        elif (name := names.get(kind)) and getattr(honest, name) and reached < 10:
            setattr(honest, name, change(getattr(honest, name)))
            reached = 10
        try:
            step()
        except (ValueError, StopIteration):
            break  # nobody answered
    else:
        pytest.fail("the handshake went through")
    assert bob.endpoint.next_event() is None and alice.endpoint.next_event() is None
    assert sum(bob.endpoint.dropped.values()) + sum(alice.endpoint.dropped.values()) > 0


def test_weaker_offer_on_the_path_never_makes_a_line_with_the_weaker_suite() -> None:
    """Nothing in a stranger's knock is proven, so whoever is on the path gets a cookie for a smaller offer."""
    world, alice, bob = two(aes=True)

    def weaken(sent: Sent) -> bool:
        if sent.source == ALICE and sent.data[0] == DatagramType.KNOCK and sent.data[3] == 3:
            world.network.send(sent.data[:3] + b"\1" + sent.data[4:], ALICE, BOB, world.now)
            return True
        return False

    world.network.refuse = weaken
    peer = alice.endpoint.dial([BOB], world.now)
    world.run(6)
    assert alice.told == [HandshakeFailed(peer, "timeout")]
    assert bob.told == []
