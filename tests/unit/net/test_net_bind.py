"""What the driver is bound to: both families at one port, chosen addresses, and what is said where that cannot be."""

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import udp
from p2pcall.net.udp import Driver, expand, leads_here
from p2pcall.types import Address


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])


def test_both_families_have_the_same_port() -> None:
    driver: Driver[object] = Driver.open((), 0)
    assert {sock.getsockname()[1] for sock in driver._sockets} == {driver.port}
    assert driver.bound()[0] == "0.0.0.0"
    assert driver.addresses()
    driver.close()


def test_a_taken_port_is_told_with_what_to_do(taken: int) -> None:
    with pytest.raises(P2PCallError) as caught:
        Driver.open(["127.0.0.1"], taken)
    assert (caught.value.slug, caught.value.exit) == ("port-taken", ExitCode.USAGE)
    assert f"ss -ulpn 'sport = :{taken}'" in caught.value.text
    assert "--port 0" in (caught.value.hint or "")


def test_a_dialler_takes_another_port_if_its_own_is_taken(taken: int) -> None:
    driver: Driver[object] = Driver.open(["127.0.0.1"], taken, fallback_any=True)
    assert driver.port not in (0, taken)
    driver.close()


def test_several_binds_share_the_port_and_are_all_listed() -> None:
    driver: Driver[object] = Driver.open(["127.0.0.1", "127.0.0.2", "[::1]"], 0)
    assert driver.bound() == driver.addresses() == ["127.0.0.1", "127.0.0.2", "::1"]
    driver.close()


@pytest.mark.parametrize(
    ("bind", "slug"),
    [("eth0", "bad-bind"), ("192.0.2.77", "no-such-address"), ("fe80::1%nosuch", "no-interface")],
)
def test_a_bind_that_is_no_address_of_ours_is_a_usage_error(bind: str, slug: str) -> None:
    for fallback in (False, True):
        with pytest.raises(P2PCallError) as caught:
            Driver.open([bind], 0, fallback_any=fallback)
        assert (caught.value.slug, caught.value.exit) == (slug, ExitCode.USAGE)


def _machine_without(monkeypatch: pytest.MonkeyPatch, *families: int, code: int = errno.EAFNOSUPPORT) -> None:
    real = socket.socket

    def make(family: int = socket.AF_INET, *args: Any) -> socket.socket:
        if family in families:
            raise OSError(code, "not here")
        return real(family, *args)

    monkeypatch.setattr(udp.socket, "socket", make)


def test_a_machine_without_ipv6_does_with_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_without(monkeypatch, socket.AF_INET6)
    driver: Driver[object] = Driver.open((), 0)
    assert driver.bound() == ["0.0.0.0"]
    driver.close()


@pytest.mark.parametrize(
    ("code", "slug"),
    [(errno.EAFNOSUPPORT, "no-socket"), (errno.EMFILE, "no-socket"), (errno.EACCES, "port-forbidden")],
)
def test_no_socket_at_all_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch, code: int, slug: str) -> None:
    _machine_without(monkeypatch, socket.AF_INET, socket.AF_INET6, code=code)
    with pytest.raises(P2PCallError) as caught:
        Driver.open((), 0)
    assert caught.value.slug == slug


def test_a_free_port_for_both_families_is_looked_for_more_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = udp._open_one, []

    def flaky(address: Address, *, optional: bool) -> socket.socket | None:
        calls.append(address)
        if len(address) == 4 and len(calls) < 6:
            raise OSError(errno.EADDRINUSE, "in use")
        return real(address, optional=optional)

    monkeypatch.setattr(udp, "_open_one", flaky)
    driver: Driver[object] = Driver.open((), 0)
    assert len(calls) == 6
    driver.close()


def test_wildcards_become_the_addresses_of_their_family() -> None:
    assert expand(["192.0.2.1", "2001:db8::1"]) == ["192.0.2.1", "2001:db8::1"]
    assert all(":" not in host for host in expand(["0.0.0.0"]))
    assert all(":" in host for host in expand(["::"]))


@pytest.mark.parametrize(
    ("address", "bound", "here"),
    [
        (("127.0.0.1", 7), ["0.0.0.0"], True),
        (("127.9.9.9", 7), ["0.0.0.0"], True),
        (("::1", 7, 0, 0), ["::"], True),
        (("::1", 7, 0, 0), ["0.0.0.0"], False),
        (("127.0.0.1", 8), ["0.0.0.0"], False),
        (("127.0.0.2", 7), ["127.0.0.1"], False),
        (("127.0.0.1", 7), ["127.0.0.1"], True),
        (("192.0.2.7", 7), ["0.0.0.0", "::"], False),
        (("192.0.2.7", 7), ["192.0.2.7"], True),
        (("fe80::1%eth9", 7, 0, 9), ["fe80::1%eth9"], True),
    ],
)
def test_an_address_that_leads_back_to_this_socket(
    address: tuple[object, ...], bound: list[str], here: bool
) -> None:
    assert leads_here(address, 7, bound) is here
