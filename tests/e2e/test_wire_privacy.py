"""What tshark sees of a call on the cable: no name, no key, no word of a control message, no sound, no picture.

And of the first messages: a knock says nothing of who knocks at whose door, whether it knows the door's owner or not.
"""

import struct
import time
from collections import Counter
from math import log2
from pathlib import Path

import picture
import pytest
import sound
from capture import PROBE, Capture
from netns import NetnsPair
from pairs import NO_MEDIA, Start, identity, in_call_between, knows, media

pytestmark = pytest.mark.netns

BOB, ALICE = "bob-the-listener", "alice-the-caller"
KNOCK, COOKIE, INITIATION, RESPONSE, CONFIRMATION, DATA = range(1, 7)
WIRE_VERSION = 4
DATA_HEADER_BYTES = 16
KNOCK_BYTES = 84
KNOCK_INDEX, KNOCK_ZEROS = slice(4, 8), slice(40, 68)
KNOCK_NONCE, KNOCK_TIME, KNOCK_TAG = slice(16, 32), slice(32, 40), slice(68, 84)
KNOCK_HINT, KNOCK_UNHINTED = slice(16, 20), slice(20, 32)
"""Of an IKhfs knock's nonce, the part that stays in a dial, and the other one."""
IKHFS = 2
MDNS_PORT = 5353
MIN_KNOCKS = 6
"""Of each kind, which somebody sends who is not answered within five seconds."""
MAX_SIGMA = 6
MIN_OFF_S = 86_400.0
"""A random number of 64 bits is so near to the time of day once in 10^8."""
MIN_BITS_PER_BYTE = 7.99
"""Of 8. So many uniformly random bytes as are captured here come to 7.998."""
MIN_BYTES = 150_000
VP8_START = bytes([0x9D, 0x01, 0x2A])


def entropy_bits(data: bytes) -> float:
    """Shannon's entropy of the bytes, bits a byte."""
    shares = [count / len(data) for count in Counter(data).values()]
    return -sum(share * log2(share) for share in shares)


def test_a_stranger_on_the_cable_learns_nothing(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    says = sound.speech_wav(tmp_path / "speech.wav", 3)
    clip = picture.clip(tmp_path / "clip.mp4", 3)
    capture = Capture(p2p, netns_pair, "a")
    call = in_call_between(
        netns_pair,
        p2p,
        listen=["--name", BOB, *media("tone", video_out=tmp_path / "out.mkv")],
        dial=["--name", ALICE, "--loop", *media(says, video_in=clip)],
    )
    call.bob.wait_event("first-video")
    sent = {netns_pair.ipv4[side]: 0 for side in ("a", "b")}
    capture.wait(lambda seen: sum(len(one.payload) for one in seen) > MIN_BYTES, "enough datagrams")
    call.alice.stop()
    assert call.bob.wait_event("ended")["reason"] == "hung-up"
    capture.wait(lambda seen: len(seen) > 0 and seen[-1].payload[0] == DATA, "end")

    datagrams = capture.datagrams
    for datagram in datagrams:
        sent[datagram.source[0]] += 1
    assert min(sent.values()) > 50, "one direction was not seen"
    kinds = Counter(datagram.payload[0] for datagram in datagrams)
    assert set(kinds) == {KNOCK, COOKIE, INITIATION, RESPONSE, CONFIRMATION, DATA}, kinds
    assert all(len(one.payload) <= (1200 if one.payload[0] == DATA else 1232) for one in datagrams)

    everything = b"".join(capture.frames)
    people = {name: identity(tmp_path, name) for name in ("alice", "bob")}
    secrets = [BOB.encode(), ALICE.encode(), VP8_START + struct.pack("<HH", 320, 240)]
    secrets += [word.encode() for word in call.alice_connected["sas"]]
    secrets += [part for person in people.values() for part in (person.public, person.private)]
    secrets += [person.fingerprint[:14].encode() for person in people.values()]
    assert PROBE in everything, "the search finds what is there"
    assert [secret for secret in secrets if secret in everything] == []

    sealed = b"".join(one.payload[DATA_HEADER_BYTES:] for one in datagrams if one.payload[0] == DATA)
    bits = entropy_bits(sealed)
    print(f"{len(datagrams)} datagrams, {len(sealed)} sealed bytes, {bits:.5f} bits a byte")
    assert bits > MIN_BITS_PER_BYTE


def test_reserved_bytes_and_counters_are_all_that_is_in_the_clear(netns_pair: NetnsPair, p2p: Start) -> None:
    """Each side's data datagrams: type, three zeros, one index, a counter that goes up by one."""
    capture = Capture(p2p, netns_pair, "b")
    call = in_call_between(netns_pair, p2p, listen=NO_MEDIA, dial=NO_MEDIA)
    capture.wait(lambda seen: sum(one.payload[0] == DATA for one in seen) > 100, "a hundred datagrams")
    call.alice.stop()
    for side in ("a", "b"):
        data = [
            one.payload
            for one in capture.datagrams
            if one.payload[0] == DATA and one.source[0] == netns_pair.ipv4[side]
        ]
        assert {payload[1:4] for payload in data} == {bytes(3)}
        assert len({payload[4:8] for payload in data}) == 1
        counters = [int.from_bytes(payload[8:16], "big") for payload in data]
        assert counters == list(range(counters[0], counters[0] + len(counters)))
        assert counters[0] <= 1


def test_a_knock_is_random_apart_from_its_header(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    """Of somebody who knows whom it calls and of somebody who does not, where strangers get no answer."""
    knows(tmp_path, "alice", "bob")
    capture = Capture(p2p, netns_pair, "a")
    listen = ("listen", "--name", "bob", "--json", "--reach", "contacts", *NO_MEDIA)
    p2p(*listen, net=netns_pair, side="b", name="bob").wait_event("listening")
    dials = [
        p2p("dial", "bob", "--port", "0", "--name", name, *NO_MEDIA, net=netns_pair, side="a", name=name)
        for name in ("alice", "carol")
    ]
    assert [dial.wait_exit() for dial in dials] == [3, 3]
    knocks = [one.payload for one in capture.datagrams if one.target[1] != MDNS_PORT]
    assert {len(knock) for knock in knocks} == {KNOCK_BYTES}
    assert {knock[:2] for knock in knocks} == {bytes([KNOCK, WIRE_VERSION])}
    patterns = Counter(knock[2] for knock in knocks)
    assert set(patterns) == {1, 2}
    assert min(patterns.values()) >= MIN_KNOCKS
    assert len({knock[3] for knock in knocks}) == 1
    assert len({knock[KNOCK_INDEX] for knock in knocks}) == len(dials)
    assert {knock[KNOCK_ZEROS] for knock in knocks} == {bytes(28)}
    clocks = [int.from_bytes(knock[KNOCK_TIME], "big") / 1e6 for knock in knocks]
    assert all(abs(clock - time.time()) > MIN_OFF_S for clock in clocks), "no clock shows"
    for field in (KNOCK_NONCE, KNOCK_TIME, KNOCK_TAG):
        assert len({knock[field] for knock in knocks}) == len(knocks)
    assert len({knock[KNOCK_HINT] for knock in knocks if knock[2] == IKHFS}) == 1, "alice's, in her one dial"
    fields = (KNOCK_UNHINTED, KNOCK_TIME, KNOCK_TAG)
    random = b"".join(knock[field] for knock in knocks for field in fields)
    ones, bits = int.from_bytes(random, "big").bit_count(), 8 * len(random)
    print(f"{patterns} knocks, {ones / bits:.3f} of {bits} bits are ones")
    assert abs(ones - bits / 2) < MAX_SIGMA * bits**0.5 / 2

    everything = b"".join(capture.frames)
    people = [identity(tmp_path, name) for name in ("alice", "bob", "carol")]
    secrets = [part for one in people for part in (one.public, one.private, one.public[:8])]
    assert [secret for secret in secrets if secret in everything] == []
