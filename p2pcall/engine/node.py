"""One UDP port and the peers behind it: events of the secure line go to the coroutine that waits for them.

`Node` joins `proto.Endpoint` and `net.Driver`. Each peer gets a `PeerConnection`: signals go to a queue, media payloads
go directly to a callback. A line without an owner is closed at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

from msgspec import Struct

from p2pcall.engine.reach import WatchedEndpoint
from p2pcall.env import Clock
from p2pcall.net.udp import Driver
from p2pcall.proto.endpoint import StaticKey
from p2pcall.proto.events import CallEnded, HandshakeDone, HandshakeFailed, Message, Payload, ProtocolEvent
from p2pcall.proto.line.control import ControlFull
from p2pcall.proto.messages import Reason
from p2pcall.proto.peer import Peer
from p2pcall.proto.wire import UNPROVEN_ANSWERS
from p2pcall.types import Address, Entropy

MAX_SIGNALS: Final = 256
"""Signals in a line's queue before messages of the other side are dropped: more than it can send during a short delay
here, and few enough for 64 lines at once."""
MAX_EARLY: Final = 32
"""Payloads kept from the moment when a call becomes active until a receiver is set: half a second of voice."""
SLEEP_S: Final = 1.0
"""Shorter sleep is not corrected at once, but together with later sleep."""
GOODBYE_POLL_S: Final = 0.01
"""Interval of checks whether all goodbyes are acknowledged."""
GOODBYE_WAIT_S: Final = 1.5
"""How long `close` waits for a goodbye to be acknowledged; `proto` gives up after a second."""


class LocalSignal(Struct, frozen=True):
    """A wish of this side: a key, a signal, the end of a file. It is queued with the line's signals."""

    what: str


Signal = ProtocolEvent | LocalSignal


class PeerConnection:
    """One peer: signals to await, payloads to a callback."""

    def __init__(self, node: "Node", peer: Peer) -> None:
        self._node = node
        self.peer = peer
        self.signals: asyncio.Queue[Signal] = asyncio.Queue()
        self._on_payload: Callable[[int, bytes], None] | None = None
        self._early: deque[tuple[int, bytes]] = deque(maxlen=MAX_EARLY)

    @property
    def on_payload(self) -> Callable[[int, bytes], None] | None:
        """The receiver of media payloads; it first gets those that came since the call became active."""
        return self._on_payload

    @on_payload.setter
    def on_payload(self, taker: Callable[[int, bytes], None] | None) -> None:
        self._on_payload = taker
        while taker is not None and self._early:
            taker(*self._early.popleft())

    def take_payload(self, channel: int, data: bytes) -> None:
        """Pass it on, or keep it while the receiver of a call that has just become active is not set yet."""
        if self._on_payload is not None:
            self._on_payload(channel, data)
        else:
            self._early.append((channel, data))

    @property
    def _stands(self) -> bool:
        """Whether there is a session that has not expired while the machine slept."""
        self._node.wake()
        return self.peer.established

    def tell(self, what: str) -> None:
        """Queue a wish of this side after the signals that came before."""
        self.signals.put_nowait(LocalSignal(what))

    def send(self, channel: int, payload: bytes, padded_to: int = 0) -> None:
        """Send one media payload now, padded to `padded_to` bytes if shorter; does nothing after the session's end."""
        node, peer = self._node, self.peer
        node.wake()
        if peer.established:
            peer.send(channel, payload, node.now(), padded_to=padded_to)
            node.drain()

    def send_all(self, channel: int, payloads: Sequence[tuple[bytes, int]]) -> None:
        """As `send`, for several payloads with their `padded_to` at once: the fragments of a picture."""
        node, peer = self._node, self.peer
        node.wake()
        if peer.established:
            now = node.now()
            for payload, padded_to in payloads:
                peer.send(channel, payload, now, padded_to=padded_to)
            node.drain()

    def invite(self, name: str, audio: bool, video: bool) -> None:
        """Invite; does nothing if the other side is gone already (its end is among the signals)."""
        if self._stands:
            self.peer.invite(name, audio, video, self._node.now())
            self._node.pump()

    def ring(self, name: str) -> None:
        """Tell the caller that it rings; does nothing if the caller is gone."""
        if self._stands:
            self.peer.ring(name, self._node.now())
            self._node.pump()

    def accept(self, name: str, audio: bool, video: bool) -> bool:
        """Answer; False if the caller is gone (its end is among the signals)."""
        if not self._stands:
            return False
        self.peer.accept(name, audio, video, self._node.now())
        self._node.pump()
        return True

    def decline(self, reason: Reason) -> None:
        """Refuse a call that is not answered; does nothing in any other state."""
        self.peer.decline(reason, self._node.now())
        self._node.pump()

    def send_control(self, kind: int, body: bytes) -> bool:
        """Send one control message; False if the other side has not acknowledged the earlier ones."""
        try:
            self.peer.send_control(kind, body, self._node.now())
        except ControlFull:
            return False
        self._node.pump()
        return True

    def hang_up(self, reason: Reason) -> None:
        """End the call or the dial, in any state; does nothing if it is over already."""
        self._node.wake()
        self.peer.hangup(reason, self._node.now())
        self._node.pump()

    def drop(self) -> None:
        """Forget the peer without a goodbye."""
        self._node.forget(self)


class Node:
    """The endpoint, its driver and its lines."""

    def __init__(
        self,
        static: StaticKey,
        entropy: Entropy,
        clock: Clock,
        former: StaticKey | None = None,
        untold: Collection[bytes] = (),
    ) -> None:
        """`former` and `untold` are the endpoint's."""
        self.endpoint = WatchedEndpoint(
            static, entropy, wall=lambda now: clock.time(), former=former, untold=untold
        )
        self.endpoint.accepting = False
        self._clock = clock
        self._asleep_s = clock.asleep()
        self._lines: dict[int, PeerConnection] = {}
        self._driver: Driver[ProtocolEvent] | None = None
        self._loop = asyncio.get_running_loop()
        self.on_caller: Callable[[PeerConnection], None] | None = None
        """Called when a caller has finished a handshake with us; if not set, the line is dropped."""
        self.on_unreachable: Callable[[Address, int], None] | None = None
        """Called when the system reports that nothing listens at an address (not authenticated)."""

    def attach(self, driver: Driver[ProtocolEvent]) -> None:
        """Begin to receive on bound sockets."""
        self._driver = driver
        driver.asleep_s = self._asleep_s
        driver.start(
            self.endpoint,
            self._dispatch,
            on_unreachable=self._unreachable,
            on_moved=self._moved,
            answers=UNPROVEN_ANSWERS,
            on_wake=self.wake,
        )

    @property
    def driver(self) -> Driver[ProtocolEvent]:
        """The sockets."""
        assert self._driver is not None
        return self._driver

    def now(self) -> float:
        """The only clock for `proto`: the loop's time plus the time that the machine has slept."""
        return self._loop.time() + self._asleep_s

    def at(self, loop_time: float) -> float:
        """Convert a time of the loop's clock, which devices use, to `now`'s clock, if there was no sleep since."""
        return loop_time + self._asleep_s

    def wake(self) -> None:
        """Called before each action and input: end sessions that expired while the machine slept, and wipe their keys.

        Nothing more is sent on them, not even a goodbye: the other side has seen the same silence.
        """
        asleep_s = self._clock.asleep()
        if asleep_s - self._asleep_s >= SLEEP_S:
            self._asleep_s = asleep_s
            if self._driver is not None:
                self._driver.asleep_s = asleep_s
            self.endpoint.handle_timer(self.now())
            self.drain()

    def pump(self) -> None:
        """Call after every use of the endpoint or a peer: sends datagrams, delivers events to lines, arms the timer."""
        self.wake()
        self.drain()

    def drain(self) -> None:
        """The same, right after `wake`: it saves reading two clocks for each frame."""
        if self._driver is not None:
            self._driver.pump()

    def dial(
        self, addresses: Sequence[Address], expected_static: bytes | None, known: Sequence[bytes] = ()
    ) -> PeerConnection:
        """Start a handshake; the line's first signal is `HandshakeDone` or `HandshakeFailed`.

        `known` are the keys to try if no key is expected.
        """
        peer = self.endpoint.dial(addresses, self.now(), expected_static, known)
        line = self._lines[peer.index] = PeerConnection(self, peer)
        self.pump()
        return line

    def forget(self, line: PeerConnection) -> None:
        """Close a peer silently and drop its line."""
        self._lines.pop(line.peer.index, None)
        line.peer.close()
        self.pump()

    async def close(self) -> None:
        """Wait until goodbyes are acknowledged (bounded), then close the sockets."""
        deadline = self.now() + GOODBYE_WAIT_S
        while not self.endpoint.idle and self.now() < deadline:
            await asyncio.sleep(GOODBYE_POLL_S)
        if self._driver is not None:
            self._driver.close()

    def _moved(self) -> None:
        for line in self._lines.values():
            line.peer.nudge(self.now())
        self.pump()

    def _unreachable(self, address: Address, errno: int) -> None:
        if self.on_unreachable is not None:
            self.on_unreachable(address, errno)

    def _dispatch(self, event: ProtocolEvent) -> None:
        line = self._lines.get(event.peer.index)
        if line is not None and isinstance(event, Payload):
            line.take_payload(event.channel, event.data)
            return
        if line is None:
            if not isinstance(event, HandshakeDone) or self.on_caller is None:
                event.peer.close()
                return
            line = self._lines[event.peer.index] = PeerConnection(self, event.peer)
            self.on_caller(line)
        if isinstance(event, CallEnded | HandshakeFailed):
            del self._lines[event.peer.index]
        if isinstance(event, Message) and line.signals.qsize() >= MAX_SIGNALS:
            return
        line.signals.put_nowait(event)
