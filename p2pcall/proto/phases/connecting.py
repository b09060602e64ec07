"""The handshake of a dial, until the line is open."""

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission.dial import Dial
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.call.table import CallInput, CallState
from p2pcall.proto.events import (
    CallEnded,
    HandshakeDone,
    HandshakeFailed,
)
from p2pcall.proto.handshake.exchange import Established
from p2pcall.proto.messages import Reason
from p2pcall.proto.peer import Peer
from p2pcall.proto.phase import Move, PhaseName
from p2pcall.proto.phases.alive import Alive
from p2pcall.proto.phases.open import Open, line_of
from p2pcall.proto.state import EndpointState
from p2pcall.proto.wire import DropReason
from p2pcall.types import Address


def connecting_peer(state: EndpointState, index: int, address: Address, dial: Dial, now: float) -> Peer:
    """A peer that we dial; `address` is tried first."""
    peer = Peer(index, address, initiator=True, now=now)
    peer.phase = Connecting(state, peer, dial)
    state.add(peer)
    return peer


class Connecting(Alive):
    """Our handshake is running; there are no keys yet, and the remote key is not known."""

    __slots__ = ("_dial",)
    name = PhaseName.CONNECTING

    def __init__(self, endpoint: EndpointState, peer: Peer, dial: Dial) -> None:
        super().__init__(endpoint, peer)
        self._dial = dial

    @property
    def state(self) -> CallState:
        """There is no call yet."""
        return CallState.IDLE

    @property
    def answered(self) -> bool:
        """Whether a cookie has come."""
        return self._dial.answered

    def own(self, cause: CallInput, body: bytes, now: float) -> None:
        """Too early: RuntimeError."""
        raise _too_early()

    def accept(self, greeting: bytes, now: float) -> None:
        """Too early: RuntimeError."""
        raise _too_early()

    def send(self, channel: int, payload: bytes, padded_to: int, now: float) -> None:
        """Too early: RuntimeError."""
        raise _too_early()

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """Too early: RuntimeError."""
        raise _too_early()

    def leave(self, cause: CallInput, reason: Reason, now: float) -> None:
        """Give up the dial; the other side is not told."""
        self._vanish(Move.UNREACHED)
        self._tell(CallEnded(self._peer, reason, remote=False))

    def receive_cookie(self, cookie: wire.Cookie, now: float) -> DropReason | None:
        """Take the answer to a knock."""
        reason = self._dial.receive_cookie(cookie, now)
        if reason is None:
            self._endpoint.touch(self._peer)
        return reason

    def receive_response(self, response: wire.Response, address: Address, now: float) -> DropReason | None:
        """Take the other side's handshake message; a valid one opens the line."""
        outcome = self._dial.receive_response(response, address, now)
        if not isinstance(outcome, DropReason):
            self._establish(*outcome, now)
            return None
        if outcome is DropReason.KEY:
            self._endpoint.touch(self._peer)  # the deadline may be earlier now
        return outcome

    def handle_timer(self, now: float) -> None:
        """Fail the dial at its deadline: no answer, or none with the expected key."""
        if now >= self._dial.deadline:
            wrong_key = self._dial.wrong_key
            self._vanish(Move.UNREACHED)
            self._tell(HandshakeFailed(self._peer, "key-changed" if wrong_key else "timeout", wrong_key))

    def flush(self, now: float) -> None:
        """Queue the knocks and initiations that are due."""
        for datagram, address in self._dial.take_due(now):
            self._post(datagram, address)

    def next_timer(self) -> float | None:
        """When the next knock or initiation is due, or the deadline."""
        return self._dial.next_timer()

    def _establish(self, done: Established, address: Address, now: float) -> None:
        """Open the line, which sends the confirmation."""
        endpoint, peer = self._endpoint, self._peer
        peer.address = address
        line = line_of(endpoint, peer, done, now)
        deadline = now + c.HANDSHAKE_TIMEOUT_S
        peer.enter(Move.ESTABLISHED, Open(endpoint, peer, line, deadline, (done.confirmation, Backoff(now))))
        endpoint.touch(peer)
        self._tell(HandshakeDone(peer))


def _too_early() -> RuntimeError:
    return RuntimeError("the handshake is not done")
