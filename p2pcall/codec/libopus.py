"""The libopus that FFmpeg codes sound with, called without FFmpeg around it.

PyAV's wheels bring it as a file of its own. Called directly it gives the same packets and the same sound, byte for
byte, for two thirds of the time: FFmpeg sends each frame through a graph of filters first; and FFmpeg is not loaded.
A PyAV that was built otherwise has no such file, and then there is nothing here (`library` gives None). All buffers are
this module's, and of the sizes that libopus is told. Spec: opus_encoder and opus_decoder of libopus' own documentation.
"""

import ctypes
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

_VOIP, _AUDIO, _LOW_DELAY = 2048, 2049, 2051
_SET_BITRATE, _SET_VBR, _SET_BANDWIDTH, _SET_COMPLEXITY = 4002, 4006, 4008, 4010
_WIDEBAND, _AUTO = 1103, -1000
_PLACES: Final = ("../av.libs/libopus-*.so*", ".dylibs/libopus*.dylib")
"""Where wheels have it, seen from the package: on Linux, on macOS."""
_BYTES: Final = 2
"""Of a sample."""


def _files() -> Iterator[Path]:
    """Where it may be. PyAV is asked for its place only: to import it would load all of FFmpeg, 16 MiB."""
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        return
    for place in _PLACES:
        folder, _, name = place.rpartition("/")
        yield from (Path(spec.origin).parent / folder).glob(name)


@cache
def library() -> Any:
    """The library, or None."""
    for path in _files():
        try:
            lib = ctypes.CDLL(str(path))
            lib.opus_encoder_init.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int, ctypes.c_int]
            lib.opus_encoder_ctl.argtypes = [ctypes.c_void_p, ctypes.c_int]
            samples, size = ctypes.c_char_p, ctypes.c_int32
            lib.opus_encode.argtypes = [ctypes.c_void_p, samples, ctypes.c_int, ctypes.c_void_p, size]
            lib.opus_decoder_init.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int]
            lib.opus_decode.argtypes = [
                *(ctypes.c_void_p, samples, size, ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
            ]
        except (OSError, AttributeError):
            continue
        return lib
    return None


class Encoder:
    """One channel, constant bit rate. ValueError if libopus does not take what it is asked."""

    def __init__(
        self, rate_hz: int, complexity: int, most_bytes: int, low_delay: bool, *, music: bool = False
    ) -> None:
        self._lib = lib = library()
        self._state = ctypes.create_string_buffer(lib.opus_encoder_get_size(1))
        self._out = ctypes.create_string_buffer(most_bytes)
        application = _LOW_DELAY if low_delay else _AUDIO if music else _VOIP
        failed = lib.opus_encoder_init(self._state, rate_hz, 1, application)
        if failed:
            raise ValueError(f"libopus: error {failed}")
        self._control(_SET_VBR, 0)
        self._control(_SET_COMPLEXITY, complexity)

    def set(self, bitrate_bps: int, wideband: bool) -> None:
        """From the next frame on: so many bits a second, and the band up to 8 kHz if `wideband`."""
        self._control(_SET_BITRATE, bitrate_bps)
        self._control(_SET_BANDWIDTH, _WIDEBAND if wideband else _AUTO)

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame, which has one of the lengths that Opus knows, and may have another than the last."""
        size = self._lib.opus_encode(self._state, pcm, len(pcm) // _BYTES, self._out, len(self._out))
        if size < 0:
            raise ValueError(f"libopus: error {size}")
        return self._out.raw[:size]

    def _control(self, request: int, value: int) -> None:
        failed = self._lib.opus_encoder_ctl(self._state, request, ctypes.c_int32(value))
        if failed:
            raise ValueError(f"libopus: error {failed}")


class Decoder:
    """One channel, frames of any length up to `most_bytes` of sound."""

    def __init__(self, rate_hz: int, most_bytes: int) -> None:
        self._lib = lib = library()
        self._state = ctypes.create_string_buffer(lib.opus_decoder_get_size(1))
        self._samples = most_bytes // _BYTES
        self._out = ctypes.create_string_buffer(most_bytes)
        self._sound = memoryview(self._out)
        failed = lib.opus_decoder_init(self._state, rate_hz, 1)
        if failed:
            raise ValueError(f"libopus: error {failed}")

    def decode(self, packet: bytes) -> bytes | None:
        """The frame of a packet; None for what is no packet."""
        size = self._lib.opus_decode(self._state, packet, len(packet), self._out, self._samples, 0)
        return bytes(self._sound[: size * _BYTES]) if size > 0 else None
