"""Opus: one packet a frame, all of one size; no bytes raise; concealment is libopus' own and not silence."""

import importlib.util
import math
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pcall.codec import libopus, opus
from p2pcall.codec.ffmpeg_opus import FFmpegEncoder
from p2pcall.codec.opus import OpusDecoder, OpusEncoder, OpusForm
from p2pcall.media.constants import (
    FRAME_BYTES,
    FRAME_LENGTHS,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    TICK_BYTES,
    TICK_SAMPLES,
)
from p2pcall.media.toc import packet_ticks

CONCEALED_SILENCE = bytes(FRAME_BYTES)

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
    encoder = OpusEncoder(OpusForm(2, bitrate))
    noise = np.random.default_rng(1).integers(-20_000, 20_000, FRAME_SAMPLES * 5).astype("<i2").tobytes()
    frames = (
        [bytes(FRAME_BYTES)] * 5
        + tone(5)
        + [noise[i : i + FRAME_BYTES] for i in range(0, len(noise), FRAME_BYTES)]
    )
    packets = [encoder.encode(frame) for frame in frames]
    assert {len(packet) for packet in packets} == {bitrate // 400}
    assert {packet_ticks(packet) for packet in packets} == {2}


@pytest.mark.parametrize("ticks", FRAME_LENGTHS)
@pytest.mark.parametrize("bitrate", [12_000, 24_000, 48_000])
@pytest.mark.parametrize("direct", [True, False], ids=["alone", "within FFmpeg"])
def test_frames_of_every_length_have_one_size_and_come_out_as_long(
    ticks: int, bitrate: int, direct: bool
) -> None:
    form = OpusForm(ticks, bitrate, wideband=bitrate < 48_000, low_delay=ticks == 1)
    encoder, decoder = OpusEncoder(form, direct=direct), OpusDecoder(direct=direct)
    pcm = b"".join(tone(30)) + bytes(6 * TICK_BYTES)
    size = ticks * TICK_BYTES
    packets = [encoder.encode(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]
    assert {len(packet) for packet in packets} == {bitrate * ticks // 800}
    assert {packet_ticks(packet) for packet in packets} == {ticks}
    assert {len(decoder.decode(packet)) for packet in packets} == {size}
    assert len(decoder.conceal()) == size


def test_form_changes_in_mid_stream_without_a_gap() -> None:
    """The tone goes on as loud and as steady as it was through each change of length, bits and band."""
    encoder, decoder = OpusEncoder(), OpusDecoder()
    samples = np.arange(400 * TICK_SAMPLES)
    pcm = (8_000 * np.sin(2 * math.pi * 300 * samples / 48_000)).astype("<i2").tobytes()
    forms = [
        OpusForm(),
        OpusForm(6, 20_000, True),
        OpusForm(4, 24_000, True),
        OpusForm(1, 48_000),
        OpusForm(),
    ]
    heard, at = b"", 0
    for form in forms:
        encoder.form = form
        for _ in range(72 // form.ticks):
            end = at + form.ticks * TICK_BYTES
            heard += decoder.decode(encoder.encode(pcm[at:end]))
            at = end
    assert len(heard) == at
    loud = [level(heard[n : n + TICK_BYTES]) for n in range(10 * TICK_BYTES, len(heard), TICK_BYTES)]
    assert min(loud) > 0.6 * 8_000 / math.sqrt(2)
    assert max(loud) < 1.4 * 8_000 / math.sqrt(2)


def test_low_delay_begins_anew_and_goes_on() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for frame in tone(20):
        before = level(decoder.decode(encoder.encode(frame)))
    encoder.form = OpusForm(1, 96_000, low_delay=True)
    for frame in tone(20):
        for half in (frame[:TICK_BYTES], frame[TICK_BYTES:]):
            after = level(decoder.decode(encoder.encode(half)))
    assert after == pytest.approx(before, rel=0.2)


@pytest.mark.parametrize("ticks", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("bitrate", [12_000, 24_000, 96_000])
def test_as_many_ticks_are_made_up_as_are_asked(ticks: int, bitrate: int) -> None:
    encoder, decoder = OpusEncoder(OpusForm(2, bitrate)), OpusDecoder()
    for frame in tone(20):
        heard = decoder.decode(encoder.encode(frame))
    made_up = decoder.conceal(ticks)
    assert len(made_up) == ticks * TICK_BYTES
    assert level(made_up[:TICK_BYTES]) > 0.5 * level(heard)


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
        pcm = decoder.decode(blob)
        assert len(pcm) in {ticks * TICK_BYTES for ticks in FRAME_LENGTHS}


def test_every_option_that_is_set_is_taken() -> None:
    """What the codec does not know stays in `options`, and nothing else tells."""
    assert not FFmpegEncoder(*OpusForm(4, 24_000, True, True), opus.COMPLEXITY)._context.options
    with pytest.raises(ValueError, match="libopus"):
        libopus.Encoder(SAMPLE_RATE_HZ, opus.COMPLEXITY, opus.MAX_PACKET_BYTES, False).set(-5, False)
    with pytest.raises(ValueError, match="libopus"):
        libopus.Encoder(SAMPLE_RATE_HZ, 11, opus.MAX_PACKET_BYTES, False)
    with pytest.raises(ValueError, match="libopus"):
        libopus.Encoder(11, opus.COMPLEXITY, opus.MAX_PACKET_BYTES, False)


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
