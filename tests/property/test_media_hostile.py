"""Hostile bytes: parsers never raise, take exact lengths only, and give back what was packed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pcall.media import constants as c
from p2pcall.media.packets import (
    Ask,
    AudioCopy,
    AudioPacket,
    Feedback,
    KeyRequest,
    Nack,
    Played,
    Report,
    VideoFragment,
    pack_audio,
    pack_feedback,
    pack_fragment,
    parse_audio,
    parse_feedback,
    parse_fragment,
    split_frame,
)
from p2pcall.media.toc import TICKS_BY_TOC

u32 = st.integers(0, c.MAX_U32)
u16 = st.integers(0, 0xFFFF)
u8 = st.integers(0, c.MAX_U8)
tocs = st.sampled_from([toc for toc, ticks in enumerate(TICKS_BY_TOC) if ticks])


@st.composite
def audio_packets(draw: st.DrawFn) -> AudioPacket:
    tick = draw(st.integers(c.MAX_COPY_DISTANCE, c.MAX_U32))
    copies: list[AudioCopy] = []
    distance = 0
    for _ in range(draw(st.integers(1, c.MAX_AUDIO_COPIES))):
        toc = draw(tocs)
        distance += (TICKS_BY_TOC[toc] + draw(st.integers(0, 2))) if copies else 0
        if distance <= c.MAX_COPY_DISTANCE:
            copies.append(AudioCopy(distance, bytes([toc]) + draw(st.binary(max_size=250))))
    return AudioPacket(tick, draw(u32), tuple(copies))


@st.composite
def fragments(draw: st.DrawFn) -> VideoFragment:
    count = draw(st.integers(1, c.MAX_FRAGMENTS))
    data = draw(st.binary(min_size=1, max_size=c.VIDEO_FRAGMENT_BYTES))
    return VideoFragment(
        draw(u32), draw(u32), draw(st.integers(0, count - 1)), count, draw(st.booleans()), data
    )


reports = st.builds(
    Report, u32, u32, u16.map(lambda n: n / 0xFFFF), u8, u16, u16.map(lambda n: n / 10), u16, u16, u32
)
nacks = st.builds(Nack, u32, st.lists(st.integers(0, c.MAX_FRAGMENTS - 1), max_size=255).map(tuple))
played = st.builds(Played, u32, st.none() | st.integers(0, c.PLAYED_STANDS - 1))
feedback: st.SearchStrategy[Feedback] = st.one_of(
    reports, nacks, played, st.just(KeyRequest()), st.just(Ask())
)


@given(st.binary(max_size=1_300))
@settings(max_examples=300)
def test_random_bytes_never_raise(payload: bytes) -> None:
    for parse, pack in (
        (parse_audio, pack_audio),
        (parse_fragment, pack_fragment),
        (parse_feedback, pack_feedback),
    ):
        message = parse(payload)
        if message is not None:
            assert pack(message) == payload


@given(audio_packets())
def test_audio_round_trip_and_exact_length(packet: AudioPacket) -> None:
    payload = pack_audio(packet)
    assert parse_audio(payload) == packet
    assert parse_audio(payload + b"\0") is None
    for cut in range(len(payload)):
        assert parse_audio(payload[:cut]) is None
    frames = list(packet.frames())
    assert [frame.tick for frame in frames] == [packet.tick - copy.distance for copy in packet.copies]
    assert [frame.recovered for frame in frames] == [False] + [True] * (len(frames) - 1)


@given(fragments())
def test_fragment_round_trip_and_bounds(fragment: VideoFragment) -> None:
    payload = pack_fragment(fragment)
    assert len(payload) <= c.MAX_PAYLOAD_BYTES
    assert parse_fragment(payload) == fragment
    assert parse_fragment(payload[: c.VIDEO_HEADER_BYTES]) is None
    assert parse_fragment(payload + bytes(c.VIDEO_FRAGMENT_BYTES)) is None


@given(feedback)
def test_feedback_round_trip_and_exact_length(message: Feedback) -> None:
    payload = pack_feedback(message)
    assert len(payload) <= c.MAX_PAYLOAD_BYTES
    assert parse_feedback(payload) == message
    assert parse_feedback(payload + b"\0") is None
    assert parse_feedback(payload[:-1]) is None


@given(audio_packets(), st.integers(0, 2_000), st.integers(0, 255))
def test_one_wrong_byte_never_raises(packet: AudioPacket, at: int, value: int) -> None:
    payload = bytearray(pack_audio(packet))
    payload[at % len(payload)] = value
    parsed = parse_audio(bytes(payload))
    assert parsed is None or pack_audio(parsed) == payload


@given(u32, u32, st.booleans(), st.binary(min_size=1, max_size=6_000))
def test_a_split_frame_is_whole_again(frame_id: int, capture_ms: int, key: bool, data: bytes) -> None:
    parts = split_frame(frame_id, capture_ms, key, data)
    assert b"".join(part.data for part in parts) == data
    assert [part.index for part in parts] == list(range(len(parts)))
    assert all(parse_fragment(pack_fragment(part)) == part for part in parts)
