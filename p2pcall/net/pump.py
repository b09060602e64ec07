"""The one pump of a sans-IO endpoint: the sockets' driver and the test networks use it.

Rule: after each input to the endpoint, first deliver its events, then send its datagrams (an event may have caused
some of them), and repeat until there is nothing left. Then the caller arms one timer, for `next_timer`. (In the other
order each received datagram needs two checks for outgoing ones: a third more calls for a packet of voice.) Left out:
the timer and the transport, which differ.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from p2pcall.types import Address

_E = TypeVar("_E")
_E_co = TypeVar("_E_co", covariant=True)


class SansIOEndpoint(Protocol[_E_co]):
    """The five methods of a sans-IO endpoint.

    `receive_datagram` gives True for a genuine datagram from its line's address, None for a genuine one from elsewhere.
    """

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool | None: ...

    def handle_timer(self, now: float) -> None: ...

    def datagrams_to_send(self, now: float) -> Sequence[tuple[bytes, Address]]: ...

    def next_timer(self) -> float | None: ...

    def next_event(self) -> _E_co | None: ...


def pump(
    line: SansIOEndpoint[_E],
    clock: Callable[[], float],
    send: Callable[[bytes, Address, float], None],
    tell: Callable[[_E], None],
) -> None:
    """Delivers events and sends datagrams until there are none; the clock is read before each round of sending."""
    event = line.next_event()
    while True:
        while event is not None:
            tell(event)
            event = line.next_event()
        now = clock()
        for data, address in line.datagrams_to_send(now):
            send(data, address, now)
        event = line.next_event()
        if event is None:
            return
