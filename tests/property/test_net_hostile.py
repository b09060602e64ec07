"""Whatever is typed, announced or sent: it is read or refused in words, never anything else."""

import ipaddress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from zeroconf.asyncio import AsyncServiceInfo

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import format_address, interleave, literal_address, normalise, parse_target
from p2pcall.net.lanpeer import MAX_LABEL_BYTES, MAX_TXT_ENTRIES, SERVICE_TYPE, instance_label, to_peer
from p2pcall.net.link import Link

LINK = Link(("10.0.0.1",), ("10.0.0.1",), loopback=False)
TARGET_LIKE = st.text(alphabet="[]@:%.0123456789abcdefgx \n", max_size=40)


@given(st.one_of(st.text(max_size=300), TARGET_LIKE))
@example("[fe80::1%]:9")
@example("fe80::1%" + "x" * 200)
@example("xn--" + "a" * 80)
def test_any_text_is_a_target_or_refused(text: str) -> None:
    try:
        target = parse_target(text)
    except P2PCallError as error:
        assert error.exit is ExitCode.USAGE
        assert error.text.isprintable()
        return
    assert 1 <= target.port <= 65535
    assert target.host.isprintable() and bool(target.host) is (target.kind != "key")
    assert (target.who is not None) is (target.word is not None or target.kind == "key")
    if target.kind == "literal":
        ip = ipaddress.ip_address(target.host)
        assert not ip.is_unspecified and not ip.is_multicast


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(1, 65535))
def test_a_shown_address_can_be_typed_again(ip: Any, port: int) -> None:
    address = literal_address(str(ip), port)
    assert normalise(address) == address
    try:
        target = parse_target(format_address(address))
    except P2PCallError:
        return
    if ip.version == 6 and ip.ipv4_mapped is not None:
        return
    assert (literal_address(target.host, target.port), target.explicit_port) == (address, True)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 9))))
def test_interleaving_adds_and_repeats_nothing(addresses: list[tuple[str, int]]) -> None:
    out = interleave(addresses)
    assert len(set(out)) == len(out)
    assert set(out) <= set(addresses)


@given(st.text(max_size=200))
def test_any_name_can_be_announced(name: str) -> None:
    label = instance_label(name)
    assert 1 <= len(label.encode()) < MAX_LABEL_BYTES
    assert label.isprintable() and "." not in label
    assert instance_label(label) == label
    AsyncServiceInfo(SERVICE_TYPE, f"{label}.{SERVICE_TYPE}")


@given(
    st.lists(st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)), max_size=20),
    st.one_of(st.none(), st.integers(0, 65535)),
    st.binary(max_size=400),
    st.text(max_size=50),
)
def test_any_answer_is_a_peer_or_nothing(
    addresses: list[bytes], port: int | None, txt: bytes, name: str
) -> None:
    full = f"{instance_label(name)}.{SERVICE_TYPE}"
    info = AsyncServiceInfo(SERVICE_TYPE, full, port=port, properties=txt, addresses=addresses)
    peer = to_peer(info, LINK)
    if peer is not None:
        assert 1 <= peer.port <= 65535
        assert 1 <= len(peer.addresses) <= 8
        assert len(peer.txt) <= MAX_TXT_ENTRIES
        assert all(not ipaddress.ip_address(a[0]).is_multicast for a in peer.addresses)
