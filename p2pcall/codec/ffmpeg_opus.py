"""Opus by FFmpeg's hand, for a PyAV that brings no libopus which can be called (`libopus`).

FFmpeg has no "packet lost" call and cannot decode in-band FEC; the packet of a lone TOC byte goes through it, to its
codec `libopus` (not to its own `opus`).
"""

import av
from av.audio.codeccontext import AudioCodecContext

from p2pcall.media.constants import FRAME_SAMPLES, SAMPLE_RATE_HZ


class FFmpegEncoder:
    """The encoder as PyAV has it."""

    def __init__(self, bitrate_bps: int, complexity: int, *, music: bool = False) -> None:
        context = AudioCodecContext.create("libopus", "w")
        context.sample_rate = SAMPLE_RATE_HZ
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = bitrate_bps
        context.options = {
            "application": "audio" if music else "voip",
            "vbr": "off",
            "frame_duration": "20",
            "compression_level": str(complexity),
        }
        context.open()
        self._context = context
        self._pts = 0

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame."""
        frame = av.AudioFrame("s16", "mono", FRAME_SAMPLES)
        frame.planes[0].update(pcm)
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._pts
        self._pts += FRAME_SAMPLES
        (packet,) = self._context.encode(frame)
        return bytes(packet)


class FFmpegDecoder:
    """The decoder as PyAV has it."""

    def __init__(self) -> None:
        self._context = self._open()

    def decode(self, packet: bytes, samples: int) -> bytes | None:
        """The frame of a packet that has so many samples; None for what is no such packet."""
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError:
            # libopus' state is as before, but FFmpeg may take some errors for the end of the stream:
            # start again.
            self._context = self._open()
            return None
        if len(frames) != 1 or frames[0].samples != samples:
            return None
        return bytes(memoryview(frames[0].planes[0])[: 2 * samples])

    @staticmethod
    def _open() -> AudioCodecContext:
        context = AudioCodecContext.create("libopus", "r")
        context.sample_rate = SAMPLE_RATE_HZ
        context.layout = "mono"
        context.format = "s16"
        context.open()
        return context
