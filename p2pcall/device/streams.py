"""Sound as it comes: raw PCM or any streamable container, from standard input, named pipes, sockets and the like.

Rules: a stream is opened once, by the thread that reads it, and nobody waits for its other end but that thread; nothing
is taken from it before the call. What it is, its first bytes tell; what they do not tell is raw PCM. Raw PCM is signed
16-bit little-endian mono at 48 kHz unless said otherwise. A reader that is slow costs frames, never the call. Leaves
out pictures (`y4m`, `video_files`) and ordinary files.
"""

import os
import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from p2pcall.device.base import Frames, OnNote, media_file_error
from p2pcall.device.pipes import FdReader, FdWriter, PeekedReader
from p2pcall.device.raw import RawFormat
from p2pcall.device.sound_in import decoded_frames
from p2pcall.device.source import MediaInput
from p2pcall.media.constants import FRAME_BYTES

TS_BYTES: Final = 188
"""A packet of an MPEG transport stream."""
MPEG_LOOK_BYTES: Final = 2_400
"""Room for the longest frame of MPEG audio and the header of the next."""
SOUND_QUEUE_FRAMES: Final = 25
"""Half a second of output that a reader may be behind before frames are dropped."""
OWN_FD: Final = re.compile(r"(?:/dev/fd|/proc/self/fd)/(\d+)")
STANDARD: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
MakeWriter = Callable[[int, Callable[[OSError], None]], FdWriter]
"""Given how many blocks may wait, and whom to tell a failure."""


def is_stream(path: str) -> bool:
    """Whether it is read as it comes: a named pipe, a socket, a device; not an ordinary file."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def reader_of(path: str, note: OnNote | None = None) -> FdReader:
    """The stream at `path`, opened when it is first read; `note` is told if nothing comes."""

    def waiting() -> None:
        if note is not None:
            note(f"nothing comes from {path} yet")

    def opened() -> int:
        try:
            return _open(path, os.O_RDONLY)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise media_file_error(path, reason, "name a pipe that can be read") from error

    return FdReader(opened, owned=True, waiting=waiting)


def writer_to(path: str, limit: int, on_failure: Callable[[OSError], None]) -> FdWriter:
    """The stream at `path`, written as soon as somebody reads it; at most `limit` blocks wait."""
    return FdWriter(lambda: _open(path, os.O_WRONLY), limit, on_failure, owned=True)


def _open(path: str, flags: int) -> int:
    """A descriptor of our own; never waits for the other end."""
    own = OWN_FD.fullmatch(path)
    number = int(own[1]) if own else STANDARD.get(path)
    if number is not None:
        return os.dup(number)
    if stat.S_ISSOCK(Path(path).stat().st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.setblocking(False)
            one.connect(path)
            return one.detach()
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def stream_frames(
    reader: FdReader,
    name: str,
    form: RawFormat | None = None,
    track: int | None = None,
    note: OnNote | None = None,
) -> Frames:
    """The sound of a stream as whole frames, the last one filled up with silence. P2PCallError for what is none."""
    peeked = PeekedReader(reader)
    try:
        if form is None and is_container(peeked):
            heard = False
            for frame in decoded_frames(MediaInput(name, peeked, track, peeked.peek(4)), note=note):
                heard = heard or bool(frame)
                yield frame
            if not heard:
                hint = "`ffmpeg -i FILE -f matroska -` makes what can be read as it comes"
                raise media_file_error(name, "there is no sound that can be decoded as it comes", hint)
        else:
            yield from _raw(peeked, form or RawFormat())
    except OSError:
        return  # a terminal or device that went away: the end of the input, like any other
    finally:
        reader.release()


def _raw(reader: PeekedReader, form: RawFormat) -> Frames:
    if form == RawFormat():
        while pcm := reader.exactly(FRAME_BYTES):
            yield pcm.ljust(FRAME_BYTES, b"\0")
        return
    from p2pcall.device.pcm import frames_of

    yield from frames_of(reader, form)


def is_container(peeked: PeekedReader) -> bool:
    """Whether a stream begins as a media file does; looks no further than it must."""
    head = peeked.peek(1)
    if head == b"\xff":
        return _is_mpeg_audio(peeked.peek(MPEG_LOOK_BYTES))
    if head == b"\x47":
        packets = peeked.peek(2 * TS_BYTES + 1)
        return packets[TS_BYTES : TS_BYTES + 1] == packets[2 * TS_BYTES :] == head
    if head not in (b"R", b"O", b"f", b"\x1a", b"I", b"F", b"\0", b".", b"c", b"#", b"r", b"w", b"0"):
        return False
    head = peeked.peek(12)
    riff = head[:4] in (b"RIFF", b"RF64") and head[8:] in (b"WAVE", b"AVI ")
    return head.startswith(CONTAINER_MAGIC) or head[4:8] in QUICKTIME or riff


CONTAINER_MAGIC: Final = (
    *(b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"ID3", b"FORM", b"caff\0\1", b".snd\0\0", b"#!AMR", b"FLV\1"),
    *(b"riff\x2e\x91\xcf\x11", b"wvpk", b"0&\xb2u\x8ef\xcf\x11", b"\0\0\1\xba"),
)
QUICKTIME: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def _is_mpeg_audio(data: bytes) -> bool:
    """Two frames, MP3 or ADTS, the second one where the first one's length says."""
    length = _mpeg_frame(data)
    return 0 < length <= len(data) - 7 and _mpeg_frame(data[length:]) > 0


_MP3_KBPS: Final = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
"""MPEG-1 and MPEG-2, layer III (ISO 11172-3, 13818-3)."""


def _mpeg_frame(data: bytes) -> int:
    """Bytes of the frame that `data` begins with; 0 if it is none."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return 0
    if data[1] & 0xF6 == 0xF0:
        return (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    version, layer, rate = data[1] >> 3 & 3, data[1] >> 1 & 3, data[2] >> 2 & 3
    if version == 1 or layer != 1 or rate == 3:
        return 0
    hz = (44_100, 48_000, 32_000)[rate] >> (0 if version == 3 else 1 if version == 2 else 2)
    kbps = _MP3_KBPS[version == 3][data[2] >> 4]
    return (144 if version == 3 else 72) * kbps * 1_000 // hz + (data[2] >> 1 & 1) if kbps else 0


class StreamWriter:
    """Raw PCM to a stream, for `files.PacedSink`."""

    def __init__(
        self, make: Callable[[int, Callable[[OSError], None]], FdWriter], form: RawFormat | None = None
    ) -> None:
        """`make` is given the limit and whom to tell a failure; the thread begins with the first frame."""
        self._failure: OSError | None = None
        self._make = make
        self._convert = None if form in (None, RawFormat()) else _converter(form)
        self._writer: FdWriter | None = None

    @property
    def dropped(self) -> int:
        return self._writer.dropped if self._writer is not None else 0

    def write(self, pcm: bytes) -> None:
        """Queues a frame. Raises the OSError that the thread met."""
        if self._failure is not None:
            raise self._failure
        if self._writer is None:
            self._writer = self._make(SOUND_QUEUE_FRAMES, self._failed)
        self._writer.put(pcm if self._convert is None else self._convert(pcm))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.stop()

    def _failed(self, error: OSError) -> None:
        self._failure = error


def _converter(form: RawFormat) -> Callable[[bytes], bytes]:
    """What needs a library, which `factory` has loaded before the call."""
    from p2pcall.device.pcm import Converter

    return Converter(form)


def standard_output(fd: int) -> MakeWriter:
    """How `StreamWriter` writes to a descriptor that is there."""
    return lambda limit, on_failure: FdWriter(lambda: fd, limit, on_failure)
