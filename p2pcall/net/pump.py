"""The one pump of a sans-IO endpoint: the sockets' driver, and the networks of the tests, all go by it.

Rule: after anything that touched the endpoint, its events are told, then what it wants sent is sent, for an event may
have caused some of it; until nothing more has happened. Then the caller arms one timer, for `next_timer`. (The other
order looks for something to send twice for each datagram that came: a third more calls for a packet of voice.)
Left out: the timer itself and what carries the datagrams, which differ.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from p2pcall.types import Address

_E = TypeVar("_E")
_E_co = TypeVar("_E_co", covariant=True)


class SansIOEndpoint(Protocol[_E_co]):
    """The five verbs of a sans-IO endpoint.

    `receive_datagram` says whether it was genuine and from where that line goes to; None: genuine, from elsewhere.
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
    """Tells and sends until there is nothing more to tell or send; the clock is read before each round of sending."""
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
