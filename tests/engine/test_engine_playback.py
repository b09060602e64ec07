"""A recording played back: every frame in its place, whatever was lost, repeated, late or made up."""

import math
from array import array
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from p2pcall.codec.opus import OpusEncoder
from p2pcall.engine.playback import (
    RESYNC_TICKS,
    Placing,
    PlayedPiece,
    both,
    contents,
    pieces,
    side_by_side,
)
from p2pcall.engine.remux import first_size, picture_size, remux
from p2pcall.media.constants import FRAME_BYTES, FRAME_SAMPLES, TICK_BYTES
from p2pcall.media.packets import pack_audio
from p2pcall.store.recordings import Entry, Track

SENT, RECEIVED = Track.SOUND_SENT, Track.SOUND_RECEIVED
FRAMES = 50
"""A second."""


def tone(number: int) -> bytes:
    """A frame of 20 ms of a tone."""
    start = number * FRAME_SAMPLES
    wave = (math.sin(2 * math.pi * 440 * n / 48_000) for n in range(start, start + FRAME_SAMPLES))
    return array("h", [int(8000 * one) for one in wave]).tobytes()


def packets(first_tick: int = 0, copies: bool = True) -> Iterator[tuple[int, bytes]]:
    """A second of a tone in packets, each with the frame before: its time in ms, and the payload."""
    encoder, before = OpusEncoder(), b""
    for number in range(FRAMES):
        data, tick = encoder.encode(tone(number)), first_tick + 2 * number
        frames = [(0, data), (2, before)] if before and copies else [(0, data)]
        yield 20 * number, pack_audio((tick, 20 * number, frames))
        before = data


def entries(track: Track = RECEIVED, first_tick: int = 0, lost: range = range(0)) -> list[Entry]:
    all_of = enumerate(packets(first_tick))
    return [Entry(track, at, data) for number, (at, data) in all_of if number not in lost]


def played(*recorded: Entry) -> tuple[bytes, bytes]:
    """All of it: what was sent, what came."""
    made = list(pieces(sorted(recorded, key=lambda entry: entry.at_ms)))
    return b"".join(one.sent for one in made), b"".join(one.received for one in made)


def loud(pcm: bytes) -> float:
    samples = array("h", pcm)
    return math.sqrt(sum(one * one for one in samples) / max(1, len(samples)))


def test_both_directions_are_equally_long_and_in_their_places() -> None:
    later = [Entry(SENT, at + 500, data) for _, at, data in entries(SENT)]
    sent, received = played(*later, *entries(RECEIVED))
    assert len(sent) == len(received) == 75 * FRAME_BYTES
    half = 25 * FRAME_BYTES
    assert loud(sent[:half]) == 0 < 3000 < loud(sent[half + half // 2 :])
    assert loud(received[half:-half]) > 3000
    assert loud(received[-half:]) == 0


@pytest.mark.parametrize("first_tick", [0, 7, 1000, 2**32 - 200])
def test_where_numbers_begin_does_not_matter(first_tick: int) -> None:
    assert len(played(*entries(first_tick=first_tick))[1]) == FRAMES * FRAME_BYTES


def test_a_frame_that_the_next_packet_repeats_is_not_lost() -> None:
    whole, mended = played(*entries())[1], played(*entries(lost=range(20, 21)))[1]
    assert mended == whole


def test_what_is_lost_is_made_up_for_a_moment_and_then_silent() -> None:
    received = played(*entries(lost=range(10, 41)))[1]
    assert len(received) == FRAMES * FRAME_BYTES
    assert loud(received[10 * FRAME_BYTES : 12 * FRAME_BYTES]) > 1000
    assert loud(received[20 * FRAME_BYTES : 38 * FRAME_BYTES]) == 0


def test_a_pause_of_one_side_moves_nothing_that_comes_after_it() -> None:
    """More than the time in which packets may come late: the silence is given out before they come."""
    after = [Entry(RECEIVED, at + 5000, data) for _, at, data in entries(first_tick=500)]
    received = played(*entries(), *after)[1]
    assert len(received) == 300 * FRAME_BYTES
    assert loud(received[60 * FRAME_BYTES : 250 * FRAME_BYTES]) == 0
    assert loud(received[255 * FRAME_BYTES :]) > 3000


def test_wrong_numbers_make_no_endless_silence() -> None:
    jumped = [Entry(RECEIVED, at + 1000, data) for _, at, data in entries(first_tick=2**31)]
    received = played(*entries(), *jumped)[1]
    assert len(received) <= 2 * FRAMES * FRAME_BYTES + RESYNC_TICKS * TICK_BYTES


def test_packets_that_are_none_are_left_out() -> None:
    junk = [Entry(RECEIVED, 20 * number, bytes([number]) * number) for number in range(40)]
    assert played(*entries(), *junk)[1] == played(*entries())[1]
    assert list(pieces(junk[:10])) == []


def test_a_frame_is_given_once_and_never_after_a_later_one() -> None:
    placing = Placing()
    for at, data in packets():
        placing.put(at, data)
        placing.put(at, data)
    ticks = [frame.tick for frame in placing.take(50)]
    for at, data in packets():
        placing.put(at, data)
    ticks += [frame.tick for frame in placing.take(math.inf)]
    assert ticks == list(range(0, 2 * FRAMES, 2))


def test_one_ear_hears_both_and_two_channels_keep_them_apart() -> None:
    loudest = array("h", [32767, -5, 100]).tobytes()
    piece = PlayedPiece(loudest, array("h", [32767, 7, 0]).tobytes())
    assert array("h", both(piece)).tolist() == [32767, 2, 100]
    assert array("h", side_by_side(piece)).tolist() == [32767, 32767, -5, 7, 100, 0]


def test_pictures_come_when_the_sound_is_there() -> None:
    pictures = [Entry(Track.PICTURE_RECEIVED, at, b"x") for at in (100, 900)]
    own = Entry(Track.PICTURE_SENT, 100, b"own")
    recorded = sorted([*entries(), *pictures, own], key=lambda entry: entry.at_ms)
    shown = [picture for piece in pieces(recorded) for picture in piece.pictures]
    assert shown == pictures
    assert contents(recorded).pictures == 2
    assert contents(recorded).seconds == 0.98


def vp8(count: int) -> list[bytes]:
    """Pictures of 64 by 48; the first one is a key."""
    from p2pcall.codec.video import VideoEncoder

    assert VideoEncoder
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 64, 48, "yuv420p", 15
    made = [packet for _ in range(count) for packet in encoder.encode(av.VideoFrame(64, 48, "yuv420p"))]
    return [bytes(packet) for packet in [*made, *encoder.encode(None)]]


@pytest.mark.parametrize(("suffix", "pictures"), [(".mka", 0), (".mkv", 10)])
def test_an_export_has_both_sounds_and_the_pictures_as_they_were(
    tmp_path: Path, suffix: str, pictures: int
) -> None:
    coded = vp8(10)
    kinds = [Track.KEY_PICTURE_RECEIVED] + 9 * [Track.PICTURE_RECEIVED]
    shown = [Entry(kind, 66 * n, data) for n, (kind, data) in enumerate(zip(kinds, coded, strict=True))]
    early = Entry(Track.PICTURE_RECEIVED, 0, b"of an earlier key")
    recorded = sorted([*entries(SENT), *entries(), early, *shown], key=lambda entry: entry.at_ms)
    path = tmp_path / f"out{suffix}"
    remux(recorded, path, first_size(recorded) if pictures else None)
    with av.open(str(path)) as file:
        assert [stream.metadata["title"] for stream in file.streams.audio] == ["sent", "received"]
        packets_of = [packet for packet in file.demux() if packet.size]
        for stream in file.streams.audio:
            mine = [bytes(packet) for packet in packets_of if packet.stream is stream]
            assert len(mine) == FRAMES
        films = [packet for packet in packets_of if packet.stream.type == "video"]
        assert [bytes(packet) for packet in films] == coded[:pictures]
        if pictures:
            assert (file.streams.video[0].width, file.streams.video[0].height) == (64, 48)
    with av.open(str(path)) as file:
        heard = list(file.decode(audio=1))
        assert 0.9 < sum(frame.samples for frame in heard) / 48_000 < 1.1


def test_a_picture_that_is_none_has_no_size() -> None:
    assert picture_size(b"") is picture_size(bytes(20)) is None
    assert first_size([Entry(Track.KEY_PICTURE_RECEIVED, 0, b"x")]) is None
