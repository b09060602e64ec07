"""VP8: key frames only when due, sizes checked before decoding, nothing raises on bytes."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pcall.codec.video import (
    MAX_HEIGHT,
    MAX_KEY_PERCENT,
    MAX_WIDTH,
    EncodedFrame,
    VideoDecoder,
    VideoEncoder,
    key_frame_size,
)
from p2pcall.device.drawn.testcard import BARS, TestCard


def picture(i: int, width: int = 320, height: int = 240, scene: int = 0) -> av.VideoFrame:
    y, x = np.mgrid[0:height, 0:width]
    red = 128 + 100 * np.sin((x + 3 * i) / (20 + 7 * scene))
    green = 128 + 100 * np.cos((y - 2 * i) / (15 + 9 * scene))
    blue = (x * (scene + 1) + y) % 256
    rgb = np.stack([red, green, blue], -1).astype(np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24")


def encoded(count: int, **size: int) -> list[EncodedFrame]:
    encoder = VideoEncoder(160, 120, 15, 200_000)
    out = [encoder.encode(picture(i, **size), key=False) for i in range(count)]
    return [frame for frame in out if frame is not None]


def test_key_frames_come_first_and_on_request_only() -> None:
    encoder = VideoEncoder(320, 240, 15, 200_000)
    keys = []
    for i in range(60):
        frame = encoder.encode(picture(i, scene=i // 20), key=i == 33)
        if frame is not None and frame.key:
            assert encoder.last_was_key
            assert key_frame_size(frame.data) == (320, 240)
            keys.append(i)
    assert keys[0] == 0
    assert len(keys) == 2
    assert 33 <= keys[1] <= 35


def test_one_picture_out_for_each_in_and_near_the_original() -> None:
    encoder, decoder = VideoEncoder(320, 240, 15, 400_000), VideoDecoder()
    shown = 0
    for i in range(20):
        original = picture(i)
        frame = encoder.encode(original)
        if frame is None:
            continue
        got = decoder.decode(frame.data)
        assert got is not None
        assert (got.width, got.height, got.format.name) == (320, 240, "yuv420p")
        shown += 1
    assert shown >= 15
    difference = np.abs(got.to_ndarray(format="gray").astype(int) - original.to_ndarray(format="gray"))
    assert difference.mean() < 8


@pytest.mark.parametrize("source", ["rgb24", "yuyv422", "nv12", "gray", "yuv420p"])
def test_any_format_and_size_goes_in(source: str) -> None:
    encoder, decoder = VideoEncoder(160, 90, 15, 100_000), VideoDecoder()
    frame = encoder.encode(picture(0, 642, 362).reformat(format=source))
    assert frame is not None
    got = decoder.decode(frame.data)
    assert got is not None
    assert (got.width, got.height) == (160, 90)


@pytest.mark.parametrize("size", [(28, 22), (60, 46), (128, 96)], ids=str)
def test_however_small_every_colour_is_where_it_belongs(size: tuple[int, int]) -> None:
    """The test card has seven bars; its colours have half the resolution, and a bar of (28, 22) but two of them."""
    width, height = size
    encoder, decoder = VideoEncoder(*size, 15, 100_000), VideoDecoder()
    coded = encoder.encode(av.VideoFrame.from_ndarray(TestCard().draw(3), format="rgb24"))
    assert coded is not None
    got = decoder.decode(coded.data)
    assert got is not None
    pixels = got.to_ndarray(format="rgb24").astype(int)
    middles = [int((number + 0.5) / len(BARS) * width) for number in range(len(BARS))]
    assert np.abs(pixels[height // 40, middles] - np.array(BARS)).max() < 64


def test_the_rate_is_kept_and_key_frames_are_bounded() -> None:
    bitrate, fps = 100_000, 15
    encoder = VideoEncoder(320, 240, fps, bitrate)
    rng = np.random.default_rng(3)
    total = 0
    for i in range(90):
        noise = av.VideoFrame.from_ndarray(
            rng.integers(0, 256, (240, 320, 3), dtype=np.uint8), format="rgb24"
        )
        frame = encoder.encode(noise, key=i % 30 == 0)
        if frame is not None:
            total += len(frame.data)
    assert total * 8 / 6 < 2.5 * bitrate  # pure noise at the coarsest quantiser
    calm = VideoEncoder(320, 240, fps, 180_000)
    frames = [calm.encode(picture(i), key=i == 45) for i in range(60)]
    sizes = [len(f.data) for f in frames if f is not None]
    assert sum(sizes) * 8 / 4 < 1.2 * 180_000
    key = next(f for f in frames[45:] if f is not None)
    assert len(key.data) < 1.5 * MAX_KEY_PERCENT / 100 * 180_000 / 8 / fps


@pytest.mark.parametrize("wrong", [(0, 2, 1, 1), (3, 2, 1, 1), (2, 5, 1, 1), (2, 2, 0, 1), (2, 2, 1, 0)])
def test_a_wrong_encoder_raises(wrong: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="not a picture"):
        VideoEncoder(*wrong)


def test_a_claimed_size_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = encoded(3)
    decoder = VideoDecoder()
    assert decoder.decode(frames[0].data) is not None

    def forbidden(*_: object) -> None:
        raise AssertionError("decoded")

    for width, height in ((16_383, 16_383), (MAX_WIDTH + 1, 16), (16, MAX_HEIGHT + 1), (0, 16), (16, 0)):
        hostile = bytearray(frames[0].data)
        hostile[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        with monkeypatch.context() as patch:
            patch.setattr("p2pcall.codec.video.av.Packet", forbidden)
            assert decoder.decode(bytes(hostile)) is None
            assert decoder.needs_key
            assert decoder.decode(frames[1].data) is None
    assert decoder.decode(frames[0].data) is not None
    assert not decoder.needs_key
    assert decoder.decode(frames[1].data) is not None


def test_deltas_before_a_key_frame_are_refused() -> None:
    frames = encoded(3)
    decoder = VideoDecoder()
    assert decoder.needs_key
    assert decoder.decode(frames[1].data) is None
    assert decoder.decode(frames[0].data) is not None
    assert decoder.decode(frames[1].data) is not None


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 9, 10, 11, 20])
def test_a_cut_key_frame_needs_another(length: int) -> None:
    frames = encoded(2)
    decoder = VideoDecoder()
    assert decoder.decode(frames[0].data[:length]) is None
    assert decoder.needs_key
    assert decoder.decode(frames[0].data) is not None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.binary(min_size=1, max_size=40), st.integers(0, 400)), max_size=6
    )
)
def test_no_bytes_raise(damages: list[tuple[int, bytes, int]]) -> None:
    frames = FRAMES
    decoder = VideoDecoder()
    for which, bad, where in damages:
        data = bytearray(frames[which].data)
        data[where : where + len(bad)] = bad
        decoder.decode(bytes(data))
        decoder.decode(bad)
    assert decoder.decode(frames[0].data) is not None


FRAMES = encoded(4)


def test_sizes_are_read_from_key_frames_only() -> None:
    key, delta = encoded(2)[:2]
    assert key_frame_size(key.data) == (160, 120)
    assert key_frame_size(delta.data) is None
    assert key_frame_size(b"") is None
    assert key_frame_size(key.data[:9]) is None


def test_every_option_that_is_set_is_taken() -> None:
    """What the codec does not know stays in `options`, and nothing else tells."""
    assert not VideoEncoder(320, 240, 15, 200_000)._context.options


def test_a_picture_that_is_as_it_is_coded_is_not_copied_first(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = [picture(i).reformat(format="yuv420p") for i in range(4)]
    for frame in ready:
        frame.color_range, frame.colorspace = ColorRange.UNSPECIFIED, 2
    copying, direct = VideoEncoder(320, 240, 15, 400_000), VideoEncoder(320, 240, 15, 400_000)
    monkeypatch.setattr(copying, "_fits", lambda frame: False)
    monkeypatch.setattr(direct, "_fitted", None)
    assert [direct.encode(frame) for frame in ready] == [copying.encode(frame) for frame in ready]
    ready[0].color_range = ColorRange.JPEG
    assert not direct._fits(ready[0]), "VP8 has no word for it"
