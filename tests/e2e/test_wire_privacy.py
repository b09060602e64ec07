"""What tshark sees of a call on the cable: no name, no key, no word of a control message, no sound, no picture."""

import struct
from collections import Counter
from math import log2
from pathlib import Path

import picture
import pytest
import sound
from capture import PROBE, Capture
from netns import NetnsPair
from pairs import NO_MEDIA, Start, identity, in_call_between, media

pytestmark = pytest.mark.netns

BOB, ALICE = "bob-the-listener", "alice-the-caller"
HEADER_BYTES = {1: 8, 2: 12, 3: 8, 4: 16}
"""Datagram type -> what is sent in the clear: type, reserved bytes, indexes, counter."""
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
    capture.wait(lambda seen: len(seen) > 0 and seen[-1].payload[0] == 4, "end")

    datagrams = capture.datagrams
    for datagram in datagrams:
        sent[datagram.source[0]] += 1
    assert min(sent.values()) > 50, "one direction was not seen"
    kinds = Counter(datagram.payload[0] for datagram in datagrams)
    assert set(kinds) == set(HEADER_BYTES), kinds
    assert all(len(datagram.payload) <= 1200 for datagram in datagrams)

    everything = b"".join(capture.frames)
    people = {name: identity(tmp_path, name) for name in ("alice", "bob")}
    secrets = [BOB.encode(), ALICE.encode(), VP8_START + struct.pack("<HH", 320, 240)]
    secrets += [word.encode() for word in call.alice_connected["sas"]]
    secrets += [part for person in people.values() for part in (person.public, person.private)]
    secrets += [person.fingerprint[:14].encode() for person in people.values()]
    assert PROBE in everything, "the search finds what is there"
    assert [secret for secret in secrets if secret in everything] == []

    sealed = b"".join(one.payload[16:] for one in datagrams if one.payload[0] == 4)
    bits = entropy_bits(sealed)
    print(f"{len(datagrams)} datagrams, {len(sealed)} sealed bytes, {bits:.5f} bits a byte")
    assert bits > MIN_BITS_PER_BYTE


def test_reserved_bytes_and_counters_are_all_that_is_in_the_clear(netns_pair: NetnsPair, p2p: Start) -> None:
    """Each side's data datagrams: type, three zeros, one index, a counter that goes up by one."""
    capture = Capture(p2p, netns_pair, "b")
    call = in_call_between(netns_pair, p2p, listen=NO_MEDIA, dial=NO_MEDIA)
    capture.wait(lambda seen: sum(one.payload[0] == 4 for one in seen) > 100, "a hundred datagrams")
    call.alice.stop()
    for side in ("a", "b"):
        data = [
            one.payload
            for one in capture.datagrams
            if one.payload[0] == 4 and one.source[0] == netns_pair.ipv4[side]
        ]
        assert {payload[1:4] for payload in data} == {bytes(3)}
        assert len({payload[4:8] for payload in data}) == 1
        counters = [int.from_bytes(payload[8:16], "big") for payload in data]
        assert counters == list(range(counters[0], counters[0] + len(counters)))
        assert counters[0] <= 1
