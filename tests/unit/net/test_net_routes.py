"""From which socket and which own address a datagram leaves."""

import socket
import struct
from collections.abc import Iterator

import pytest

from p2pcall.net.routes import CHECK_S, IP_PKTINFO, ROUTES_KEPT, Ancillary, Routes, preferred_source
from p2pcall.types import Address

PEER = ("192.0.2.9", 9)
PEER6 = ("2001:db8::9", 9, 0, 0)
OURS = socket.inet_aton("192.0.2.1")
OTHER = socket.inet_aton("198.51.100.1")
OURS6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1")


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Two of IPv4 on two addresses, one of IPv6."""
    made = [
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    ]
    made[0].bind(("127.0.0.1", 0))
    made[1].bind(("127.0.0.2", 0))
    yield made
    for sock in made:
        sock.close()


class RoutingTable:
    """Answers as the kernel would; `source` can be changed as if a cable were plugged in."""

    def __init__(self, source: str | None) -> None:
        self.source = source
        self.asked = 0

    def __call__(self, address: Address) -> str | None:
        self.asked += 1
        return self.source


def arrived_at(local: bytes) -> Ancillary:
    """What the kernel tells about a datagram that was sent to this own address, on interface 3."""
    if len(local) == 4:
        return [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I", 3) + local + local)]
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, local + struct.pack("=I", 3))]


def leaves_from(local: bytes) -> Ancillary:
    """What makes it leave from there, on whatever interface the routing table says."""
    if len(local) == 4:
        return [(socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + local + bytes(4))]
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, local + bytes(4))]


def test_a_stranger_is_reached_as_the_routing_table_says(sockets: list[socket.socket]) -> None:
    assert Routes(sockets, RoutingTable("127.0.0.2")).choose(PEER, 0) == (sockets[1], [])
    assert Routes(sockets, RoutingTable("127.0.0.9")).choose(PEER, 0) == (sockets[0], [])
    assert Routes(sockets, RoutingTable(None)).choose(PEER, 0) == (sockets[0], [])
    assert Routes(sockets, RoutingTable(None)).choose(PEER6, 0) == (sockets[2], [])


def test_without_a_socket_of_the_family_there_is_none(sockets: list[socket.socket]) -> None:
    assert Routes(sockets[:2], RoutingTable(None)).choose(PEER6, 0) == (None, [])
    assert Routes([], RoutingTable(None)).choose(PEER, 0) == (None, [])


@pytest.mark.parametrize(("peer", "local", "which"), [(PEER, OURS, 1), (PEER6, OURS6, 2)])
def test_an_answer_leaves_from_where_the_question_went(
    sockets: list[socket.socket], peer: Address, local: bytes, which: int
) -> None:
    routes = Routes(sockets, RoutingTable("127.0.0.1"))
    routes.heard(peer, sockets[which], arrived_at(local))
    assert routes.choose(peer, 0) == (sockets[which], leaves_from(local))


def test_whom_a_line_may_follow_is_asked_from_there_but_no_line_is_moved(
    sockets: list[socket.socket],
) -> None:
    routes = Routes(sockets, RoutingTable("127.0.0.1"))
    routes.followed(PEER, sockets[1], arrived_at(OURS))
    assert routes.choose(PEER, 0) == (sockets[1], leaves_from(OURS))
    routes.answered()
    assert routes.choose(PEER, 0) == (sockets[0], [])
    routes.heard(PEER, sockets[1], arrived_at(OTHER))
    routes.followed(PEER, sockets[0], arrived_at(OURS))
    assert routes.choose(PEER, 0) == (sockets[1], leaves_from(OTHER))


def test_where_the_system_does_not_tell_the_socket_is_remembered(sockets: list[socket.socket]) -> None:
    routes = Routes(sockets, RoutingTable("127.0.0.1"))
    routes.heard(
        PEER, sockets[1], [(socket.IPPROTO_IP, 99, b"else"), (socket.IPPROTO_IP, IP_PKTINFO, b"short")]
    )
    assert routes.choose(PEER, 0) == (sockets[1], [])


def test_the_routing_table_is_not_asked_for_strangers_nor_for_each_datagram(
    sockets: list[socket.socket],
) -> None:
    table = RoutingTable("192.0.2.1")
    routes = Routes(sockets[1:], table)
    for _ in range(50):
        routes.heard(PEER, sockets[1], arrived_at(OURS))
    assert table.asked == 0
    for i in range(50):
        routes.choose(PEER, 10 + i / 50)
    assert table.asked == 1


def test_when_the_way_changes_the_old_address_is_given_up_until_the_other_side_followed(
    sockets: list[socket.socket],
) -> None:
    table = RoutingTable("192.0.2.1")
    routes = Routes(sockets[1:], table)
    routes.heard(PEER, sockets[1], arrived_at(OURS))
    assert routes.choose(PEER, 0)[1] == leaves_from(OURS)
    table.source = "198.51.100.1"
    assert routes.choose(PEER, CHECK_S / 2)[1] == leaves_from(OURS)
    assert routes.choose(PEER, CHECK_S)[1] == []
    routes.heard(PEER, sockets[1], arrived_at(OURS))
    assert routes.choose(PEER, CHECK_S)[1] == []
    routes.heard(PEER, sockets[1], arrived_at(OTHER))
    assert routes.choose(PEER, CHECK_S)[1] == leaves_from(OTHER)
    routes.heard(PEER, sockets[1], arrived_at(OURS))
    assert routes.choose(PEER, CHECK_S)[1] == leaves_from(OURS)


def test_a_way_that_is_gone_for_a_moment_changes_nothing(sockets: list[socket.socket]) -> None:
    table = RoutingTable("192.0.2.1")
    routes = Routes(sockets[1:], table)
    routes.heard(PEER, sockets[1], arrived_at(OURS))
    routes.choose(PEER, 0)
    table.source = None
    assert routes.choose(PEER, CHECK_S)[1] == leaves_from(OURS)


def test_after_a_failed_send_the_system_chooses_anew(sockets: list[socket.socket]) -> None:
    routes = Routes(sockets, RoutingTable("127.0.0.1"))
    routes.heard(PEER, sockets[1], arrived_at(OURS))
    routes.failed(PEER)
    assert routes.choose(PEER, 0) == (sockets[0], [])
    routes.failed(PEER)
    routes.failed(PEER6)
    assert routes.choose(PEER, 0) == (sockets[0], [])


def test_the_memory_is_bounded_and_forgets_who_was_heard_longest_ago(sockets: list[socket.socket]) -> None:
    routes = Routes(sockets, RoutingTable("127.0.0.1"))
    routes.heard(PEER, sockets[1], arrived_at(OURS))
    strangers = [("198.51.100.7", port) for port in range(1, 2 * ROUTES_KEPT)]
    for stranger in strangers:
        routes.heard(stranger, sockets[1], arrived_at(OURS))
        routes.heard(PEER, sockets[1], arrived_at(OURS))
    assert routes.choose(strangers[0], 0)[0] is sockets[0]
    assert routes.choose(strangers[-1], 0)[0] is sockets[1]
    assert routes.choose(PEER, 0) == (sockets[1], leaves_from(OURS))


def test_the_kernel_tells_its_preferred_source() -> None:
    assert preferred_source(("127.0.0.1", 9)) == "127.0.0.1"
    assert preferred_source(("::1", 9, 0, 0)) in {"::1", None}
    assert preferred_source(("fe80::1", 9, 0, 99999)) is None


def test_nothing_leaves_from_an_own_address_that_has_gone(sockets: list[socket.socket]) -> None:
    table = RoutingTable("198.51.100.1")
    routes = Routes(sockets, table)
    routes.heard(PEER, sockets[0], arrived_at(OURS))
    routes.heard(PEER6, sockets[2], arrived_at(OURS6))
    assert routes.choose(PEER, 0.0) == (sockets[0], leaves_from(OURS))
    routes.moved([OTHER, OURS6])
    asked = table.asked
    assert routes.choose(PEER, 0.1) == (sockets[0], [])
    assert table.asked == asked + 1, "the routing table is asked at once"
    assert routes.choose(PEER6, 0.1) == (sockets[2], leaves_from(OURS6))
    routes.heard(PEER, sockets[0], arrived_at(OTHER))
    assert routes.choose(PEER, 0.2) == (sockets[0], leaves_from(OTHER))


def test_own_address_that_was_given_up_and_has_gone_may_come_back(sockets: list[socket.socket]) -> None:
    routes = Routes(sockets, RoutingTable("127.0.0.2"))
    routes.heard(PEER, sockets[0], arrived_at(OURS))
    routes.failed(PEER)
    routes.heard(PEER, sockets[0], arrived_at(OURS))
    assert routes.choose(PEER, 0.0) == (sockets[1], [])
    routes.moved([OTHER])
    routes.heard(PEER, sockets[0], arrived_at(OURS))
    assert routes.choose(PEER, 0.1) == (sockets[0], leaves_from(OURS))
