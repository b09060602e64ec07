"""Echo cancelling, noise suppression and gain control of what a microphone hears: WebRTC's, out of livekit's wheel.

livekit has it, because its library is called with plain bytes: a voice call grows by 11 MiB, and by 25 with
pywebrtc-audio 0.2, whose functions take numpy arrays only; the two leave the same echo and take the same time. It is
the one of the two that is kept by a company, for all systems that we know; where its wheel is missing (musl) there is
no library in it, and `voice_processing` gives None. Its Python package is not imported (with protobuf it is 8 MiB
more): its one function takes a message, and all that is in ours but the sound is the same every time. Spec:
livekit_ffi.h and ffi.proto of livekit's rust-sdks.

Rules: whole ticks only, for the library takes what it gets (ValueError); what it refuses stays as it is. Leaves out
when to cancel.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol
from weakref import finalize

from p2pcall.media.constants import SAMPLE_RATE_HZ, TICK_BYTES

CANCELLER_DELAY_SAMPLES: Final = 429
"""What comes out of the canceller is so much later: measured (8.94 ms), the same for any sound."""
SUPPRESSOR_DELAY_SAMPLES: Final = 333
"""And out of noise suppression (6.94 ms). Gain control takes no time."""
_LIBRARIES: Final = ("liblivekit_ffi.so", "liblivekit_ffi.dylib")
_NEW, _NEW_DONE, _NEAR, _FAR = 50, 49, 51, 52
"""Numbers of the messages' fields in FfiRequest, and of the answer to the first in FfiResponse."""
_CANCEL, _GAIN, _SUPPRESS = 1, 2, 4
"""Numbers of NewApmRequest's fields."""
_LENGTH: Final = 2
"""The kind of a field that says how long it is."""
_BITS: Final = 7
_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80
"""A number has seven bits in a byte, and another one while there are more."""


class VoiceProcessing(Protocol):
    """What the engine sees of it: each call takes and gives one tick."""

    def far(self, pcm: bytes) -> None:
        """What the speaker plays; before the microphone's tick that may have heard it."""

    def cancel(self, pcm: bytes) -> bytes:
        """The microphone's tick without what was played, CANCELLER_DELAY_SAMPLES later."""

    def suppress(self, pcm: bytes) -> bytes:
        """With less noise (15 dB), SUPPRESSOR_DELAY_SAMPLES later."""

    def raise_voice(self, pcm: bytes) -> bytes:
        """A faint voice as loud as others."""


def voice_processing() -> VoiceProcessing | None:
    """A new one, or None where there is no library."""
    lib = _library()
    if lib is None:
        return None
    try:
        return WebRtc(lib)
    except ValueError:  # it answers otherwise than what we know
        return None


@cache
def _library() -> Any:
    try:
        spec = importlib.util.find_spec("livekit.rtc")
    except ModuleNotFoundError:
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in _LIBRARIES:
            try:
                lib = ctypes.CDLL(str(Path(folder) / "resources" / name))
                pointer = ctypes.c_void_p
                lib.livekit_ffi_request.argtypes = [ctypes.c_char_p, ctypes.c_size_t, pointer, pointer]
                lib.livekit_ffi_request.restype = ctypes.c_uint64
                lib.livekit_ffi_drop_handle.argtypes = [ctypes.c_uint64]
            except (OSError, AttributeError):
                continue
            return lib
    return None


class _Module:
    """One of the library's processing modules, with its two buffers."""

    def __init__(self, lib: Any, *wanted: int) -> None:
        self._call, self._drop = lib.livekit_ffi_request, lib.livekit_ffi_drop_handle
        self._answer, self._size = ctypes.c_void_p(), ctypes.c_size_t()
        self._into = ctypes.byref(self._answer), ctypes.byref(self._size)
        message = _message(_NEW, b"".join(_number(field, 1) for field in wanted))
        answer = self._call(message, len(message), *self._into)
        made = ctypes.string_at(self._answer, self._size.value)
        self._drop(answer)
        self._handle = _number_in(made, _NEW_DONE, 1, 1, 1)
        finalize(self, self._drop, self._handle)
        self._near, self._far = (ctypes.create_string_buffer(TICK_BYTES) for _ in range(2))
        self._near_request, self._far_request = (
            self._process(_NEAR, self._near),
            self._process(_FAR, self._far),
        )

    def near(self, pcm: bytes) -> bytes:
        """A tick of the microphone, and what becomes of it."""
        ctypes.memmove(self._near, _whole(pcm), TICK_BYTES)
        self._drop(self._call(self._near_request, len(self._near_request), *self._into))
        return self._near.raw

    def far(self, pcm: bytes) -> None:
        """A tick of the speaker."""
        ctypes.memmove(self._far, _whole(pcm), TICK_BYTES)
        self._drop(self._call(self._far_request, len(self._far_request), *self._into))

    def _process(self, field: int, buffer: Any) -> bytes:
        values = (self._handle, ctypes.addressof(buffer), TICK_BYTES, SAMPLE_RATE_HZ, 1)
        return _message(field, b"".join(_number(at, value) for at, value in enumerate(values, 1)))


class WebRtc:
    """A module for each, so that nothing is done that need not be."""

    def __init__(self, lib: Any) -> None:
        canceller = _Module(lib, _CANCEL)
        self.far, self.cancel = canceller.far, canceller.near
        self.suppress = _Module(lib, _SUPPRESS).near
        self.raise_voice = _Module(lib, _GAIN).near


def _whole(pcm: bytes) -> bytes:
    if len(pcm) != TICK_BYTES:
        raise ValueError(f"{len(pcm)} bytes are no tick of {TICK_BYTES}")
    return pcm


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > _SEVEN_BITS:
        out.append(value & _SEVEN_BITS | _MORE)
        value >>= _BITS
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | _LENGTH) + _varint(len(body)) + body


def _number_in(body: bytes, *fields: int) -> int:
    """The number at the end of a path of fields, each the first of the one before. ValueError for another message."""
    rest = body
    for field in fields[:-1]:
        rest = _after(rest, field << 3 | _LENGTH)
        _, rest = _read(rest)
    return _read(_after(rest, fields[-1] << 3))[0]


def _after(body: bytes, tag: int) -> bytes:
    found, rest = _read(body)
    if found != tag:
        raise ValueError(f"tag {found} in the place of {tag}")
    return rest


def _read(body: bytes) -> tuple[int, bytes]:
    value = 0
    for at, byte in enumerate(body):
        value |= (byte & _SEVEN_BITS) << _BITS * at
        if byte <= _SEVEN_BITS:
            return value, body[at + 1 :]
    raise ValueError("cut off in a number")
