"""The pump: first what is to be told, then what is to be sent, again while that has caused more."""

from collections.abc import Callable

from p2pcall.net.pump import pump
from p2pcall.types import Address

THERE: Address = ("192.0.2.1", 1)


class Endpoint:
    """What is sent and told is put into it."""

    def __init__(self, out: list[bytes], events: list[str]) -> None:
        self.out, self.events, self.looks = out, events, 0

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        self.looks += 1
        out, self.out = self.out, []
        return [(data, THERE) for data in out]

    def next_event(self) -> str | None:
        return self.events.pop(0) if self.events else None


def run(endpoint: Endpoint, on_send: Callable[[bytes], None] = lambda data: None) -> list[object]:
    """What was done, in order; each event called `more` makes it send once more, and tell that."""
    done: list[object] = []
    clock = iter(range(100))

    def tell(event: str) -> None:
        done.append(event)
        if event == "more":
            endpoint.out.append(b"caused")
            endpoint.events.append("told later")

    def send(data: bytes, address: Address, now: float) -> None:
        done.append((data, address, now))
        on_send(data)

    pump(endpoint, lambda: float(next(clock)), send, tell)
    return done


def test_what_happened_is_told_before_anything_is_sent() -> None:
    assert run(Endpoint([b"1", b"2"], ["a", "b"])) == ["a", "b", (b"1", THERE, 0.0), (b"2", THERE, 0.0)]


def test_what_an_event_causes_is_told_and_leaves_in_the_same_round() -> None:
    told = ["more", "told later"]
    assert run(Endpoint([b"1"], ["more"])) == [*told, (b"1", THERE, 0.0), (b"caused", THERE, 0.0)]


def test_what_sending_causes_is_told_and_sent_with_a_new_look_at_the_clock() -> None:
    endpoint = Endpoint([b"1"], [])
    done = run(endpoint, on_send=lambda data: endpoint.events.extend(["more"] * (data == b"1")))
    assert done == [(b"1", THERE, 0.0), "more", "told later", (b"caused", THERE, 1.0)]


def test_a_datagram_that_came_has_what_is_to_be_sent_looked_for_once() -> None:
    endpoint = Endpoint([], ["a datagram"])
    assert run(endpoint) == ["a datagram"]
    assert endpoint.looks == 1
