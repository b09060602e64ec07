"""What a person types as TARGET, and what becomes of it. No name server is asked: `getaddrinfo` is replaced."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import address as net_address
from p2pcall.net.address import (
    DEFAULT_PORT,
    MAX_ADDRESSES,
    Target,
    format_address,
    interleave,
    literal_address,
    normalise,
    parse_target,
    resolve,
    undialable,
)

KEY = "p2pcall:id/1/" + "a" * 52
GOOD = {
    "bob": Target("name", "bob", DEFAULT_PORT, False),
    " bob ": Target("name", "bob", DEFAULT_PORT, False),
    "b\u200cob": Target("name", "bob", DEFAULT_PORT, False),
    "Bob Müller": Target("name", "Bob Müller", DEFAULT_PORT, False),
    "bob:9": Target("name", "bob", 9, True),
    "host.example": Target("name", "host.example", DEFAULT_PORT, False),
    "host.example:65535": Target("name", "host.example", 65535, True),
    "192.0.2.1": Target("literal", "192.0.2.1", DEFAULT_PORT, False),
    "192.0.2.1:4000": Target("literal", "192.0.2.1", 4000, True),
    "2001:db8::1": Target("literal", "2001:db8::1", DEFAULT_PORT, False),
    "2001:DB8:0::1": Target("literal", "2001:db8::1", DEFAULT_PORT, False),
    "[2001:db8::1]": Target("literal", "2001:db8::1", DEFAULT_PORT, False),
    "[2001:db8::1]:4000": Target("literal", "2001:db8::1", 4000, True),
    "fe80::1%eth0": Target("literal", "fe80::1%eth0", DEFAULT_PORT, False),
    "[fe80::1%eth0]:4000": Target("literal", "fe80::1%eth0", 4000, True),
    "::ffff:192.0.2.1": Target("literal", "192.0.2.1", DEFAULT_PORT, False),
    "::1": Target("literal", "::1", DEFAULT_PORT, False),
    "bob@192.0.2.1": Target("literal", "192.0.2.1", DEFAULT_PORT, False, "bob", "bob@192.0.2.1"),
    "bob@[::1]:9": Target("literal", "::1", 9, True, "bob", "bob@[::1]:9"),
    "Bob M@host.example:9": Target("name", "host.example", 9, True, "Bob M", "Bob M@host.example:9"),
    "a@b@::1": Target("literal", "::1", DEFAULT_PORT, False, "a@b", "a@b@::1"),
    f"{KEY}@192.0.2.1:9": Target("literal", "192.0.2.1", 9, True, KEY, f"{KEY}@192.0.2.1:9"),
    KEY: Target("key", "", DEFAULT_PORT, False, KEY),
    "P2PCALL:ID/1/X": Target("key", "", DEFAULT_PORT, False, "P2PCALL:ID/1/X"),
    "p2pcall:9": Target("name", "p2pcall", 9, True),
}

BAD = [
    *(
        "",
        "   ",
        "x" * 256,
        "bob\n",
        "bo\x1b[31mb",
        "bob:",
        "bob:0",
        "bob:65536",
        "bob:x",
        "bob:-1",
        "bob:１",
    ),
    *(
        ":9",
        "[",
        "[]",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[::1]:0",
        "[bob]:9",
        "[192.0.2.1]:9",
        "1.2.3",
        "300.1.1.1",
    ),
    *("1:2:3", "a:b:c", "0.0.0.0", "::", "224.0.0.251", "ff02::fb%eth0", "255.255.255.255", "fe80::1", "."),
    *("@", "bob@", "@192.0.2.1", "bob@1.2.3", "bob@::", "bob@host:0", "bob@[x", f"bob@{KEY}"),
]


NAMES = [
    "bob",
    "jan.smit",
    "Dr. B. Smith",
    "Bob Müller",
    "12",
    "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
    "-rf",
    "x" * 64,
]
NO_NAMES = [
    "bob:1",
    "[bob]",
    "10.0.0.5",
    "::1",
    "fe80::1%eth0",
    "1.2.3",
    ".",
    "localhost",
    "LocalHost",
    "b[o",
    "a\x1bb",
    "bob@home",
    "@",
    KEY,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_can_be_dialled_is_read_as_itself(name: str) -> None:
    assert undialable(name) is None
    assert parse_target(name) == Target("name", name, DEFAULT_PORT, False)


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_would_be_read_as_something_else_is_told(name: str) -> None:
    assert undialable(name)


@pytest.mark.parametrize("text", GOOD)
def test_a_target_is_read(text: str) -> None:
    assert parse_target(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_target_is_told_so(text: str) -> None:
    with pytest.raises(P2PCallError) as caught:
        parse_target(text)
    assert caught.value.exit is ExitCode.USAGE
    assert caught.value.slug == "bad-target"
    assert caught.value.text.isprintable()


def test_the_port_that_is_not_given_can_be_chosen() -> None:
    assert parse_target("bob", 7).port == 7
    assert parse_target("bob:8", 7).port == 8


def test_literals_become_socket_addresses() -> None:
    loopback = socket.if_nametoindex("lo")
    assert literal_address("192.0.2.1", 9) == ("192.0.2.1", 9)
    assert literal_address("2001:db8::1", 9) == ("2001:db8::1", 9, 0, 0)
    assert literal_address("fe80::1%lo", 9) == ("fe80::1", 9, 0, loopback)
    assert literal_address("fe80::1%77", 9) == ("fe80::1", 9, 0, 77)


def test_a_zone_that_is_no_interface_is_not_found() -> None:
    with pytest.raises(P2PCallError) as caught:
        literal_address("fe80::1%nosuch", 9)
    assert caught.value.exit is ExitCode.NOT_FOUND


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("192.0.2.1", 9), "192.0.2.1:9"),
        (("2001:db8::1", 9, 0, 0), "[2001:db8::1]:9"),
        (("fe80::1", 9, 0, socket.if_nametoindex("lo")), "[fe80::1%lo]:9"),
        (("fe80::1", 9, 0, 99999), "[fe80::1%99999]:9"),
    ],
)
def test_addresses_are_shown_as_people_type_them(address: tuple[Any, ...], text: str) -> None:
    assert format_address(address) == text


def test_one_address_has_one_spelling() -> None:
    assert normalise(("fe80::1%eth0", 9, 5, 2)) == ("fe80::1", 9, 0, 2)
    assert normalise(("192.0.2.1", 9)) == ("192.0.2.1", 9)


def test_families_take_turns() -> None:
    six = [(f"2001:db8::{i}", 9, 0, 0) for i in range(3)]
    four = [(f"192.0.2.{i}", 9) for i in range(2)]
    assert interleave([*six, *four, *six]) == [six[0], four[0], six[1], four[1], six[2]]
    assert interleave([*four, *six])[0] == four[0]
    assert interleave([]) == []
    assert len(interleave((f"192.0.2.{i}", 9) for i in range(100))) == MAX_ADDRESSES


Info = tuple[Any, ...]


def _resolve(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., list[Info]], timeout_s: float = 5) -> Any:
    monkeypatch.setattr(net_address.socket, "getaddrinfo", answer)
    return asyncio.run(resolve(parse_target("host.example:9"), timeout_s=timeout_s))


def test_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(host: str, port: int, **_: object) -> list[Info]:
        assert (host, port) == ("host.example", 9)
        datagram = (socket.SOCK_DGRAM, socket.IPPROTO_UDP, "")
        return [
            (socket.AF_INET6, *datagram, ("2001:db8::1", port, 0, 0)),
            (socket.AF_INET6, *datagram, ("2001:db8::2", port, 0, 0)),
            (socket.AF_UNIX, *datagram, "nonsense"),
            (socket.AF_INET, *datagram, ("192.0.2.1", port)),
        ]

    found = _resolve(monkeypatch, answer)
    assert found == [("2001:db8::1", 9, 0, 0), ("192.0.2.1", 9), ("2001:db8::2", 9, 0, 0)]


@pytest.mark.parametrize(
    "failure", [socket.gaierror(socket.EAI_NONAME, "no"), UnicodeError("label too long"), None]
)
def test_a_name_without_address_is_not_found(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    def answer(*_: object, **__: object) -> list[Info]:
        if failure is not None:
            raise failure
        return []

    with pytest.raises(P2PCallError) as caught:
        _resolve(monkeypatch, answer)
    assert caught.value.exit is ExitCode.NOT_FOUND


def test_a_dead_name_server_does_not_hold_up_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def answer(*_: object, **__: object) -> list[Info]:
        release.wait()
        return []

    with pytest.raises(P2PCallError) as caught:
        _resolve(monkeypatch, answer, timeout_s=0.01)
    release.set()
    assert caught.value.exit is ExitCode.NOT_FOUND


def test_a_literal_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_address.socket, "getaddrinfo", None)
    assert asyncio.run(resolve(parse_target("[::1]:9"))) == [("::1", 9, 0, 0)]
