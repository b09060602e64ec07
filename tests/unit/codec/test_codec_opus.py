"""Opus: one packet a frame, all of one size; no bytes raise; concealment is libopus' own and not silence."""

import importlib.util
import math
import struct
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pcall.codec import libopus, opus
from p2pcall.codec.ffmpeg_opus import FFmpegEncoder
from p2pcall.codec.opus import (
    SAMPLE_RATE_HZ,
    OpusDecoder,
    OpusEncoder,
    packet_samples,
)
from p2pcall.media.constants import FRAME_BYTES, FRAME_SAMPLES

LOOKAHEAD_SAMPLES = 312
"""How much later a sound leaves the decoder than it went into the encoder."""


def tone(frames: int, hz: float = 300.0) -> list[bytes]:
    samples = np.arange(frames * FRAME_SAMPLES)
    pcm = (8_000 * np.sin(2 * math.pi * hz * samples / 48_000)).astype("<i2").tobytes()
    return [pcm[i : i + FRAME_BYTES] for i in range(0, len(pcm), FRAME_BYTES)]


WHOLE_TICKS = [ticks * FRAME_BYTES // 2 for ticks in (1, 2, 4, 6)]


def level(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, "<i2").astype(float) ** 2)))


@pytest.mark.parametrize("bitrate", [16_000, 32_000, 40_000, 64_000])
def test_one_packet_of_one_size_a_frame_whatever_is_said(bitrate: int) -> None:
    encoder = OpusEncoder(bitrate)
    noise = np.random.default_rng(1).integers(-20_000, 20_000, FRAME_SAMPLES * 5).astype("<i2").tobytes()
    frames = (
        [bytes(FRAME_BYTES)] * 5
        + tone(5)
        + [noise[i : i + FRAME_BYTES] for i in range(0, len(noise), FRAME_BYTES)]
    )
    packets = [encoder.encode(frame) for frame in frames]
    assert {len(packet) for packet in packets} == {bitrate // 400}
    assert {packet_samples(packet) for packet in packets} == {FRAME_SAMPLES}


@pytest.mark.parametrize("length", [0, 1, FRAME_BYTES - 1, FRAME_BYTES + 1, 2 * FRAME_BYTES])
def test_a_wrong_frame_raises(length: int) -> None:
    with pytest.raises(ValueError, match="one frame is"):
        OpusEncoder().encode(bytes(length))


def test_what_goes_in_comes_out_later_by_the_look_ahead_alone() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    rng = np.random.default_rng(2)
    voice = np.convolve(rng.normal(0, 3_000, 50 * FRAME_SAMPLES), np.ones(12) / 4, "same").astype("<i2")
    raw = voice.tobytes()
    heard = b"".join(
        decoder.decode(encoder.encode(raw[i : i + FRAME_BYTES])) for i in range(0, len(raw), FRAME_BYTES)
    )
    out = np.frombuffer(heard, "<i2").astype(float)
    assert len(out) == len(voice)
    window = voice[20_000:40_000].astype(float)
    scores = [float(window @ out[20_000 + lag : 40_000 + lag]) for lag in range(1_000)]
    assert abs(int(np.argmax(scores)) - LOOKAHEAD_SAMPLES) <= 2


def test_a_lost_frame_is_concealed_with_sound_and_dies_away() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for frame in tone(20):
        before = decoder.decode(encoder.encode(frame))
    made_up = [decoder.conceal() for _ in range(50)]
    assert all(len(pcm) == FRAME_BYTES for pcm in made_up)
    assert level(made_up[0]) > 0.5 * level(before)
    assert level(made_up[-1]) < 0.3 * level(before)


def test_before_the_first_packet_there_is_silence() -> None:
    decoder = OpusDecoder()
    assert decoder.conceal() == bytes(FRAME_BYTES)
    assert decoder.decode(b"") == bytes(FRAME_BYTES)
    assert decoder.decode(b"\xff" * 40) == bytes(FRAME_BYTES)


def test_garbage_is_concealed_and_the_next_good_packet_is_heard() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    packets = [encoder.encode(frame) for frame in tone(60)]
    for packet in packets[:20]:
        good = decoder.decode(packet)
    toc = packets[0][0]
    for bad in (
        b"",
        bytes((toc,)),
        bytes((toc | 3,)),
        bytes((toc | 3, 0x3F)) + bytes(40),
        bytes((toc | 1,)) + b"abc",
        b"\xff" * 1_275,
        bytes(5_000),
    ):
        assert len(decoder.decode(bad)) in WHOLE_TICKS
    for packet in packets[20:40]:
        heard = decoder.decode(packet)
    assert level(heard) > 0.5 * level(good)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_no_bytes_raise(blobs: list[bytes]) -> None:
    decoder = OpusDecoder()
    decoder.decode(OpusEncoder().encode(tone(1)[0]))
    for blob in blobs:
        assert len(decoder.decode(blob)) in WHOLE_TICKS


def test_lengths_of_all_configurations() -> None:
    durations = {config: packet_samples(bytes((config << 3, 0))) for config in range(32)}
    assert [durations[c] for c in (0, 1, 2, 3, 11, 12, 13, 15, 16, 19, 31)] == [
        480, 960, 1_920, 2_880, 2_880, 480, 960, 960, 120, 960, 960,
    ]  # fmt: skip
    assert packet_samples(struct.pack("BB", 19 << 3 | 1, 0)) == 1_920
    assert packet_samples(struct.pack("BB", 18 << 3 | 3, 2)) == 960
    assert packet_samples(b"\x03") is None
    assert packet_samples(b"") is None
    assert packet_samples(bytes(3_000)) is None


def test_every_option_that_is_set_is_taken() -> None:
    """What the codec does not know stays in `options`, and nothing else tells."""
    assert not FFmpegEncoder(opus.VOICE_BPS, opus.COMPLEXITY)._context.options
    with pytest.raises(ValueError, match="libopus"):
        libopus.Encoder(SAMPLE_RATE_HZ, -5, opus.COMPLEXITY, opus.MAX_PACKET_BYTES)
    with pytest.raises(ValueError, match="libopus"):
        libopus.Encoder(SAMPLE_RATE_HZ, opus.VOICE_BPS, 11, opus.MAX_PACKET_BYTES)


@pytest.mark.parametrize("music", [False, True])
def test_libopus_alone_and_within_ffmpeg_give_the_same_bytes(music: bool) -> None:
    assert libopus.library() is not None, "this PyAV brings no libopus that can be called"
    noise = np.random.default_rng(3).integers(-20_000, 20_000, FRAME_SAMPLES * 5).astype("<i2").tobytes()
    frames = [
        *tone(20),
        *[bytes(FRAME_BYTES)] * 5,
        *(noise[i : i + FRAME_BYTES] for i in range(0, len(noise), FRAME_BYTES)),
    ]
    packets = [OpusEncoder(music=music).encode, OpusEncoder(music=music, direct=False).encode]
    sent = [[encode(frame) for encode in packets] for frame in frames]
    assert all(one == other for one, other in sent)
    direct, within = OpusDecoder(), OpusDecoder(direct=False)
    for number, (packet, _) in enumerate(sent):
        assert direct.decode(packet) == within.decode(packet)
        if number % 4 == 3:
            assert direct.conceal() == within.conceal()
        if number % 8 == 7:
            assert direct.decode(b"\0" * 40) == within.decode(b"\0" * 40)


def test_music_is_coded_otherwise_than_a_voice_and_as_long() -> None:
    frames = tone(20)
    voice, music = ([*map(encoder.encode, frames)] for encoder in (OpusEncoder(), OpusEncoder(music=True)))
    assert voice != music
    assert {*map(len, voice)} == {*map(len, music)}


def test_without_a_libopus_of_its_own_ffmpeg_codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = ModuleSpec("av", None, origin=str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: place)
    libopus.library.cache_clear()
    try:
        assert libopus.library() is None
        assert len(OpusDecoder().decode(OpusEncoder().encode(tone(1)[0]))) == FRAME_BYTES
        folder = tmp_path / "av.libs"
        folder.mkdir()
        (folder / "libopus-0.so").write_bytes(b"no library")
        (tmp_path / "av").mkdir()
        libopus.library.cache_clear()
        assert libopus.library() is None
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        libopus.library.cache_clear()
        assert libopus.library() is None, "a folder that we are in by chance is not searched"
    finally:
        libopus.library.cache_clear()


@pytest.mark.parametrize("direct", [True, False])
def test_as_many_ticks_are_made_up_as_are_missing(direct: bool) -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder(direct=direct)
    for frame in tone(20):
        heard = decoder.decode(encoder.encode(frame))
    for ticks in (1, 2, 3, 6):
        made_up = decoder.conceal(ticks)
        assert len(made_up) == ticks * FRAME_BYTES // 2
        assert level(made_up) > level(heard) / 8
