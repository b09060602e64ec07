"""VP8 in real-time mode through PyAV: pictures of any size and format in, one packet each out, and back.

Rules of the encoder: no look-ahead, constant bit rate, a key frame first and then only when asked, its size
bounded; a picture may be skipped to keep the rate. Rules of the decoder: what comes from the network never
raises; the size that a key frame claims is read before anything is decoded, so a claim of 16383x16383 costs
nothing; after anything broken it needs a key frame. Leaves out fragments, pacing and the choice of size and
rate. Spec: RFC 6386, section 9.1.
"""

from fractions import Fraction
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from msgspec import Struct

MAX_WIDTH: Final = 1_280
MAX_HEIGHT: Final = 960
"""Largest picture that is decoded: four times what this program sends, 1.8 MB of memory."""
MIN_PACKET_BYTES: Final = 4
"""A frame tag of three bytes, and something to decode."""
MAX_KEY_PERCENT: Final = 450
"""A key frame's size, in percent of the mean frame's: sent within 0.3 s at 15/s, and still a fair picture."""
BUFFER_S: Final = 0.5
"""What the rate control may spend ahead; more would be delay."""
KEY_HEADER_BYTES: Final = 10
"""Of a VP8 key frame, up to its size (RFC 6386, 9.1)."""
_ENDLESS: Final = 1_000_000  # frames between key frames that come by themselves: 18 h at 15/s
_LIMITED: Final = (0, 1)
"""AVColorRange: unspecified, which is limited where the format does not say otherwise, and limited."""
_BT601: Final = (2, 5, 6)
"""AVColorSpace: unspecified, which swscale takes as BT.601, and the two names of that."""


class EncodedFrame(Struct, frozen=True):
    """One coded picture."""

    data: bytes
    key: bool


class VideoEncoder:
    """Encodes pictures of one size and rate; for another size or rate make another one (it starts with a
    key).
    """

    def __init__(self, width: int, height: int, fps: int, bitrate_bps: int) -> None:
        if width < 2 or height < 2 or width % 2 or height % 2 or fps < 1 or bitrate_bps < 1:
            raise ValueError(f"not a picture to encode: {width}x{height} at {fps}/s, {bitrate_bps} bit/s")
        self.width, self.height = width, height
        self.last_was_key = False
        self._key_due = False
        self._pts = 0
        self._time_base = Fraction(1, fps)
        context = VideoCodecContext.create("libvpx", "w")
        context.width, context.height = width, height
        context.pix_fmt = "yuv420p"
        context.time_base = self._time_base
        context.framerate = Fraction(fps)
        context.bit_rate = bitrate_bps
        context.gop_size = _ENDLESS
        context.thread_count = 1
        context.options = {
            "deadline": "realtime",
            "cpu-used": "-8",  # only negative numbers are a speed in real time; others are all the same
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "error-resilient": "default",
            "minrate": str(bitrate_bps),  # equal rates are libvpx' constant bit rate mode
            "maxrate": str(bitrate_bps),
            "bufsize": str(round(bitrate_bps * BUFFER_S)),
            "max-intra-rate": str(MAX_KEY_PERCENT),
            "drop-threshold": "30",
            "qmin": "4",
            "qmax": "56",
        }
        context.open()
        self._context = context
        self._reformatter = VideoReformatter()

    def encode(self, frame: av.VideoFrame, key: bool = False) -> EncodedFrame | None:
        """The coded picture, None when it is skipped to keep the rate; `key` asks for a key frame.

        A key frame asked for and skipped is the next one. The frame's `pts` and `pict_type` may be changed.
        """
        picture = frame if self._fits(frame) else self._fitted(frame)
        self._key_due = self._key_due or key
        picture.pts = self._pts
        picture.time_base = self._time_base
        picture.pict_type = PictureType.I if self._key_due else PictureType.NONE
        self._pts += 1
        packets = self._context.encode(picture)
        if not packets:
            return None
        self.last_was_key = packets[0].is_keyframe
        self._key_due = self._key_due and not self.last_was_key
        return EncodedFrame(bytes(packets[0]), self.last_was_key)

    def _fits(self, frame: av.VideoFrame) -> bool:
        """It can be coded as it is: swscale would copy it, sample by sample."""
        return (
            (frame.width, frame.height, frame.format.name) == (self.width, self.height, "yuv420p")
            and int(frame.color_range) in _LIMITED
            and int(frame.colorspace) in _BT601
        )

    def _fitted(self, frame: av.VideoFrame) -> av.VideoFrame:
        """In the form that is coded."""
        shrinks = frame.width >= self.width and frame.height >= self.height
        # FAST_BILINEAR takes single pixels, and in small pictures from the wrong places.
        how = Interpolation.AREA if shrinks else Interpolation.BILINEAR
        # VP8 has no word for the range: what is sent is limited, also from a camera's full one.
        return self._reformatter.reformat(
            frame,
            self.width,
            self.height,
            "yuv420p",
            dst_colorspace=Colorspace.ITU601,
            interpolation=how,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )


def key_frame_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in a VP8 key frame's header, None for any other packet (RFC 6386, 9.1)."""
    if len(data) < KEY_HEADER_BYTES or data[0] & 1 or data[3:6] != b"\x9d\x01\x2a":
        return None
    return (data[6] | data[7] << 8) & 0x3FFF, (data[8] | data[9] << 8) & 0x3FFF


class VideoDecoder:
    """Decodes packets in their order. `needs_key` tells that only a key frame can help."""

    def __init__(self) -> None:
        self.needs_key = True
        self._context = self._open()

    def decode(self, data: bytes) -> av.VideoFrame | None:
        """The picture, or None (and `needs_key` set) for whatever is not one. Never raises on bytes."""
        if len(data) < MIN_PACKET_BYTES:
            self.needs_key = True
        elif not data[0] & 1:
            size = key_frame_size(data)
            self.needs_key = size is None or not (0 < size[0] <= MAX_WIDTH and 0 < size[1] <= MAX_HEIGHT)
        if self.needs_key:
            return None
        try:
            frames = self._context.decode(av.Packet(data))
        except av.FFmpegError:
            self._context = self._open()
            frames = []
        self.needs_key = not frames
        return frames[-1] if frames else None

    @staticmethod
    def _open() -> VideoCodecContext:
        context = VideoCodecContext.create("vp8", "r")
        context.thread_count = 1  # more threads hold pictures back
        context.open()
        return context
