"""Opus by FFmpeg's hand, for a PyAV that brings no libopus which can be called (`libopus`).

FFmpeg has no "packet lost" call and cannot decode in-band FEC; the packet of a lone TOC byte goes through it, to its
codec `libopus` (not to its own `opus`).
"""

from typing import Final

import av
from av.audio.codeccontext import AudioCodecContext

from p2pcall.media.constants import SAMPLE_RATE_HZ, TICK_MS, TICK_SAMPLES

_WIDEBAND_HZ: Final = 8_000
_BYTES: Final = 2
"""Of a sample."""


class FFmpegEncoder:
    """The encoder as PyAV has it: frames of one length and bit rate."""

    def __init__(
        self,
        ticks: int,
        bitrate_bps: int,
        wideband: bool,
        low_delay: bool,
        complexity: int,
        *,
        music: bool = False,
    ) -> None:
        context = AudioCodecContext.create("libopus", "w")
        context.sample_rate = SAMPLE_RATE_HZ
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = bitrate_bps
        context.options = {
            "application": "lowdelay" if low_delay else "audio" if music else "voip",
            "vbr": "off",
            "frame_duration": str(ticks * TICK_MS),
            "compression_level": str(complexity),
        }
        if wideband:
            context.options["cutoff"] = str(_WIDEBAND_HZ)
        context.open()
        self._context = context
        self._samples = ticks * TICK_SAMPLES
        self._pts = 0

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame."""
        frame = av.AudioFrame("s16", "mono", self._samples)
        frame.planes[0].update(pcm)
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._pts
        self._pts += self._samples
        (packet,) = self._context.encode(frame)
        return bytes(packet)


class FFmpegDecoder:
    """The decoder as PyAV has it."""

    def __init__(self) -> None:
        self._context = self._open()

    def decode(self, packet: bytes) -> bytes | None:
        """The frame of a packet; None for what is no such packet."""
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError:
            # libopus' state is as before, but FFmpeg may take some errors for the end of the stream:
            # start again.
            self._context = self._open()
            return None
        if len(frames) != 1:
            return None
        return bytes(memoryview(frames[0].planes[0])[: frames[0].samples * _BYTES])

    @staticmethod
    def _open() -> AudioCodecContext:
        context = AudioCodecContext.create("libopus", "r")
        context.sample_rate = SAMPLE_RATE_HZ
        context.layout = "mono"
        context.format = "s16"
        context.open()
        return context
