"""Where nothing can be sent at all: told as what it is, and not blamed on the other side or its firewall."""

import ipaddress
import socket

import pytest
from clirun import NO_MEDIA, assert_told, run

from p2pcall.net import address as net_address
from p2pcall.net import udp
from p2pcall.net.interfaces import Interface

V6_ONLY = (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("2001:db8::1", 51729, 0, 0))


def dial(target: str, *options: str) -> tuple[str, ...]:
    return ("dial", target, "--port", "0", "--json", *options, *NO_MEDIA)


@pytest.mark.parametrize(
    ("target", "bound", "family"),
    [("::1", "127.0.0.1", "IPv6"), ("127.0.0.1", "::1", "IPv4"), ("v6.example:51729", "127.0.0.1", "IPv6")],
)
def test_a_family_that_is_bound_away_is_said_so(
    monkeypatch: pytest.MonkeyPatch, target: str, bound: str, family: str
) -> None:
    monkeypatch.setattr(net_address.socket, "getaddrinfo", lambda *_, **__: [V6_ONLY])
    ran = run(*dial(target, "--bind", bound))
    assert_told(ran, 3, f"is an {family} address", f"--bind {bound} does not lead there", "leave out --bind")
    assert "firewall" not in ran.err
    assert [(row["event"], row.get("slug")) for row in ran.rows] == [("error", "no-way")]


def test_a_family_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp.Driver, "bound", lambda _: ["0.0.0.0"])
    assert_told(run(*dial("2001:db8::1")), 3, "IPv6 address", "there is no IPv6 on this machine")


def test_an_address_that_the_bound_one_does_not_lead_to_is_said_so() -> None:
    ran = run(*dial("192.0.2.1", "--bind", "127.0.0.1"))
    assert_told(ran, 3, "192.0.2.1:51729", "--bind 127.0.0.1 does not lead there")
    assert "firewall" not in ran.err


@pytest.mark.parametrize("command", ["listen", "dial"])
@pytest.mark.parametrize(("name", "zone"), [("wlan7", "fe80::7%wlan7"), (None, "fe80::7%eth0")])
def test_a_link_local_address_without_its_zone_is_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, command: str, name: str | None, zone: str
) -> None:
    """With the interface that has it, if there is one."""
    addresses = (ipaddress.ip_interface("fe80::7/64"),)
    own = Interface(name or "", 7, addresses, loopback=False, point_to_point=False, multicast=True)
    monkeypatch.setattr(udp, "interfaces", lambda: [own] if name else [])
    target = ["bob"] if command == "dial" else ["--announce", "off"]
    ran = run(command, *target, "--bind", "fe80::7", "--port", "0", *NO_MEDIA)
    assert_told(ran, 2, "fe80::7", "zone", f"--bind {zone}")
