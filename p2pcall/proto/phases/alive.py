"""What all phases of a peer that is not gone have in common: they post datagrams and events, and can be closed."""

from p2pcall.proto.events import ProtocolEvent
from p2pcall.proto.peer import Peer
from p2pcall.proto.phase import Move, Phase
from p2pcall.proto.state import EndpointState
from p2pcall.types import Address


class Alive(Phase):
    """A peer that is not gone."""

    __slots__ = ("_endpoint", "_peer")

    def __init__(self, endpoint: EndpointState, peer: Peer) -> None:
        self._endpoint = endpoint
        self._peer = peer

    @property
    def settled(self) -> bool:
        """False: something is left to do until the call is over."""
        return False

    def close(self) -> None:
        """Leave without a goodbye."""
        self._vanish(Move.CLOSED)

    def _vanish(self, move: Move) -> None:
        """Forget the keys and leave the endpoint."""
        peer = self._peer
        if peer.line is not None:
            peer.line.call.lost()
            peer.line.epochs.wipe()
        peer.enter(move, Phase())
        self._endpoint.forget(peer)

    def _tell(self, event: ProtocolEvent) -> None:
        self._endpoint.events.append(event)

    def _post(self, datagram: bytes, address: Address) -> None:
        self._peer.tx_bytes += len(datagram)
        self._endpoint.post(datagram, address)
