"""Sound from files, streams and generators, and into files and streams, paced as a sound card would.

Rules: one frame a tick, never faster than real time; nothing is read before `start`. A source that
ends says so once and silence goes on. A sink that can write no more says so once and goes on pulling, because it is the
clock of playout. Leaves out decoding (`sound_in`), what comes in a stream (`streams`) and sound cards (`audio`).
"""

import io
import itertools
import math
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Protocol

from p2pcall.device.base import NOTHING_YET, SILENT_FRAME, OnError, OnFrame, Pull
from p2pcall.device.outfile import OutFile
from p2pcall.device.pace import MediaClock, Ticker
from p2pcall.device.pipes import write_error
from p2pcall.device.prefetch import Prefetch
from p2pcall.device.streamfile import StreamFile
from p2pcall.errors import P2PCallError
from p2pcall.media.constants import FRAME_BYTES, FRAME_S, FRAME_SAMPLES, MAX_U32, PCM_MAX, SAMPLE_RATE_HZ

TONE_HZ: Final = 440
TONE_FRAMES: Final = 5
"""Its period fits so many frames."""
TONE_LEVEL: Final = 0.1
"""-20 dB of full scale: clear, and no fright in a headset."""
PCM_BITS: Final = 16
WAV_UNKNOWN: Final = MAX_U32
"""The length of a WAV that is written as it comes."""


def tone_frames() -> Iterator[bytes]:
    """A soft tone of 440 Hz without end; its period fits a whole number of frames."""
    count = TONE_FRAMES * FRAME_SAMPLES
    turns = (TONE_HZ * sample / SAMPLE_RATE_HZ for sample in range(count))
    wave = (int(TONE_LEVEL * PCM_MAX * math.sin(2 * math.pi * turn)) for turn in turns)
    return itertools.cycle(cut(struct.pack(f"<{count}h", *wave)))


def cut(pcm: bytes) -> list[bytes]:
    """PCM as whole frames, the last one filled up with silence."""
    return [pcm[i : i + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for i in range(0, len(pcm), FRAME_BYTES)]


class PacedSource:
    """An AudioSource of frames: a file, a stream, a tone, silence, a song."""

    def __init__(
        self,
        frames: Callable[[], Iterator[bytes]],
        ticker: Ticker,
        clock: MediaClock | None = None,
        *,
        endless: bool = True,
    ) -> None:
        """`frames` is called by `start`; what it gives is taken one frame a tick, silence for `NOTHING_YET`. It may
        raise P2PCallError. `clock` is told where the sound is.
        """
        self.endless, self.held = endless, False
        self.piece_ticks, self.prompt = 2, False
        self.on_end: Callable[[], None] | None = None
        self.on_error: OnError | None = None
        self._make = frames
        self._frames: Iterator[bytes] | None = None
        self._on_frame: OnFrame | None = None
        self._ended = self._stopped = False
        self._clock = clock
        self._given = 0
        self._ticker = ticker

    def start(self, on_frame: OnFrame) -> None:
        if self._frames is not None or self._stopped:
            return
        self._on_frame = on_frame
        self._frames = self._make()
        self._ticker.join(self._tick, first=True)

    def stop(self) -> None:
        self._stopped = True
        self._ticker.leave(self._tick)
        if isinstance(self._frames, Prefetch):
            self._frames.close()

    def _tick(self, due: float) -> None:
        failure: P2PCallError | None = None
        try:
            pcm = self._next()
        except P2PCallError as error:
            pcm, failure, self._frames, self._ended = NOTHING_YET, error, None, True
        if pcm and self._clock is not None:
            self._clock.tell(self._given * FRAME_S, due - FRAME_S)
        self._given += bool(pcm)
        if self._on_frame is not None:
            self._on_frame(pcm or SILENT_FRAME, due)
        if failure is not None and self.on_error is not None:
            self.on_error(failure)
        elif pcm is None and not self._ended:
            self._ended = True
            if self.on_end is not None:
                self.on_end()

    def _next(self) -> bytes | None:
        if self.held:
            return NOTHING_YET
        if self._frames is None or self._ended:
            return None
        return next(self._frames, None)


class Writer(Protocol):
    """Where a PacedSink puts its frames."""

    def write(self, pcm: bytes) -> None:
        """Takes one frame. Raises OSError when it can write no more."""

    def close(self) -> None:
        """Completes what is written; raises the same."""


class NullWriter:
    """`--audio-out none`."""

    def write(self, pcm: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class WavStreamWriter:
    """A WAV on a pipe: its length is not known, and said so."""

    def __init__(self, file: StreamFile) -> None:
        self._file = file
        self._file.write(wav_header(WAV_UNKNOWN))

    def write(self, pcm: bytes) -> None:
        self._file.write(pcm)

    def close(self) -> None:
        pass


class WavWriter:
    """A .wav file that is valid at any moment: its header is brought up to date every second."""

    MAX_DATA_BYTES = MAX_U32 - 36 - FRAME_BYTES
    """The format counts bytes in 32 bits: twelve hours; what comes after is left out."""

    def __init__(self, path: str) -> None:
        # Unbuffered: a frame written is a frame in the file, even if this process is killed.
        self._file = io.FileIO(path, "w")
        self._data_bytes = 0
        self._header()

    def write(self, pcm: bytes) -> None:
        if self._data_bytes + len(pcm) > self.MAX_DATA_BYTES:
            return
        self._all(pcm)
        self._data_bytes += len(pcm)
        if self._data_bytes % (2 * SAMPLE_RATE_HZ) < len(pcm):
            self._header()

    def close(self) -> None:
        if not self._file.closed:
            with self._file:
                self._header()

    def _header(self) -> None:
        self._file.seek(0)
        self._all(wav_header(self._data_bytes))
        self._file.seek(0, 2)

    def _all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]


def wav_header(data_bytes: int) -> bytes:
    """Of 48 kHz mono with 16 bits. Not by `wave`: it wants to go back in the file, and takes every write for whole."""
    form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 2, 2, PCM_BITS)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", data_bytes)
    return b"RIFF" + struct.pack("<I", min(WAV_UNKNOWN, len(body) + data_bytes)) + body


class FileWriter:
    """A .wav, .ogg or .flac file, which has its name when it is closed; or the same on a pipe."""

    def __init__(self, file: OutFile) -> None:
        """Makes the file; raises P2PCallError when it cannot."""
        self.file = file
        suffix = file.path.suffix.lower()
        wav = suffix == ".wav"
        self._stream = None if file.is_plain else StreamFile(str(file.path))
        path = file.begin()
        try:
            if self._stream is not None:
                stream = self._stream
                self._writer: Writer = WavStreamWriter(stream) if wav else _encoded(stream, suffix)
            else:
                self._writer = WavWriter(path) if wav else _encoded(path, suffix)
        except OSError as error:
            with suppress(OSError):
                if self._stream is not None:
                    self._stream.close()
                file.finish()
            raise write_error(error, file.name) from error

    def write(self, pcm: bytes) -> None:
        if self._stream is None or not self._stream.behind:
            self._writer.write(pcm)

    def close(self) -> None:
        try:
            self._writer.close()
        finally:
            if self._stream is not None:
                self._stream.close()
            self.file.finish()  # also where the disk is full: what there is, is kept


def _encoded(to: str | StreamFile, suffix: str) -> Writer:
    """What needs a library, which `factory` has loaded before the call."""
    from p2pcall.device.encoded import EncodedWriter

    return EncodedWriter(to, suffix)


class PacedSink:
    """An AudioSink that pulls at real time and writes to a file, a pipe or nowhere."""

    def __init__(
        self, open_writer: Callable[[], Writer], ticker: Ticker, what: str = "standard output"
    ) -> None:
        """`open_writer` is called by `start`; it may raise P2PCallError, which is told like a failure to write."""
        self.latency_s = 0.0
        self.on_error: OnError | None = None
        self._open_writer = open_writer
        self._writer: Writer | None = None
        self._what = what
        self._pull: Pull | None = None
        self._ticker = ticker

    def start(self, pull: Pull) -> None:
        self._pull = pull
        self._ticker.join(self._tick)
        try:
            self._writer = self._open_writer()
        except P2PCallError as error:  # told a moment later: whoever starts it must have done so
            failure, tell = error, self.on_error
            if tell is not None:
                scheduler = self._ticker.scheduler
                scheduler.call_at(scheduler.time(), lambda: tell(failure))

    def stop(self) -> None:
        self._ticker.leave(self._tick)

    def complete(self) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except OSError as error:
            raise self._failure(writer, error) from error

    def _tick(self, due: float) -> None:
        if self._pull is None:
            return
        pcm = self._pull(FRAME_SAMPLES)
        writer = self._writer
        try:
            if writer is not None:
                writer.write(pcm)
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        """Told once; it ends the writing, not the ticking."""
        writer, self._writer = self._writer, None
        with suppress(OSError):
            if writer is not None:
                writer.close()
        if self.on_error is not None:
            self.on_error(self._failure(writer, error))

    def _failure(self, writer: Writer | None, error: OSError) -> P2PCallError:
        return write_error(error, writer.file.name if isinstance(writer, FileWriter) else self._what)
