"""Sound from files and generators, and into files, paced as a sound card would.

Rules: one frame a tick of the scheduler, never faster than real time; nothing is decoded before `start` but
what tells whether the file is one. A file that ends says so once and silence goes on. A sink that can write
no more says so once and goes on pulling, because it is the clock of playout. Leaves out pipes (`pipes`) and
sound cards (`audio`).
"""

import io
import itertools
import math
import shlex
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Protocol, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from p2pcall.device.base import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    SILENCE,
    OnError,
    OnFrame,
    Scheduler,
    device_error,
    media_file_error,
)
from p2pcall.device.outfile import OutFile
from p2pcall.device.pace import Ticker
from p2pcall.device.pipes import write_error
from p2pcall.errors import P2PCallError

SOUND_SUFFIXES = (".wav", ".ogg", ".flac")
TONE_HZ = 440
TONE_LEVEL = 0.1
"""-20 dB of full scale: clear, and no fright in a headset."""
MAX_BAD_PACKETS = 50
"""So many broken packets in a row are the end of a file."""
FRAMES_AT_ONCE = 5
"""Resampled at one go: a fifth of the work of single frames, and still too little to be late by."""
FILES_ONLY = {"protocol_whitelist": "file"}
"""A playlist must not make FFmpeg open network addresses."""


def check_is_file(path: str) -> None:
    """Raises P2PCallError unless `path` can be read as a file (a URL cannot)."""
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise media_file_error(path, reason, "name a file that exists and can be read") from error


def open_media(path: str, kind: str) -> InputContainer:
    """The opened file, which has a stream of `kind` (`audio`, `video`); raises P2PCallError if it has
    none.
    """
    check_is_file(path)
    what = {"audio": "sound", "video": "picture"}[kind]
    try:
        container = av.open(path, options=FILES_ONLY)
    except (av.FFmpegError, OSError, UnicodeError) as error:
        hint = f"`ffprobe {shlex.quote(path)}` tells what it is"
        raise media_file_error(path, "not a media file that can be read", hint) from error
    if not any(stream.type == kind for stream in container.streams):
        container.close()
        raise media_file_error(path, f"there is no {what} in it")
    return container


def decoded_frames(path: str) -> Iterator[bytes]:
    """The sound of a file as whole frames, the last one filled up with silence."""
    container = open_media(path, "audio")
    resampler = av.AudioResampler(
        format="s16", layout="mono", rate=SAMPLE_RATE_HZ, frame_size=FRAME_SAMPLES * FRAMES_AT_ONCE
    )
    bad = 0
    with container:
        packets = container.demux(container.streams.audio[0])
        while bad < MAX_BAD_PACKETS:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                pieces = [out for frame in packet.decode() for out in resampler.resample(frame)]
            except (av.FFmpegError, ValueError):  # ValueError: the layout or rate changes within the file
                bad += 1
                continue
            bad = 0
            for piece in pieces:
                yield from _frames(piece)
        for piece in resampler.resample(None):
            yield from _frames(piece)


def _frames(piece: av.AudioFrame) -> Iterator[bytes]:
    pcm = bytes(piece.planes[0])[: piece.samples * 2]
    for at in range(0, len(pcm), FRAME_BYTES):
        yield pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def check_sound_file(path: str) -> None:
    """Raises P2PCallError unless the file has sound that can be decoded."""
    if next(decoded_frames(path), None) is None:
        raise media_file_error(path, "there is no sound in it that can be decoded")


def repeated(path: str) -> Iterator[bytes]:
    """The sound of a file over and over; ends if the file has become empty."""
    while True:
        got = False
        for frame in decoded_frames(path):
            got = True
            yield frame
        if not got:
            return


def tone_frames() -> Iterator[bytes]:
    """A soft tone of 440 Hz without end; its period fits a whole number of frames (five)."""
    samples = np.arange(5 * FRAME_SAMPLES)
    wave = TONE_LEVEL * 32_767 * np.sin(2 * math.pi * TONE_HZ * samples / SAMPLE_RATE_HZ)
    return itertools.cycle(cut(wave.astype("<i2").tobytes()))


def cut(pcm: bytes) -> list[bytes]:
    """PCM as whole frames, the last one filled up with silence."""
    return [pcm[i : i + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for i in range(0, len(pcm), FRAME_BYTES)]


class PacedSource:
    """An AudioSource of ready frames: a file, a tone, silence, a song."""

    def __init__(self, frames: Callable[[], Iterator[bytes]], scheduler: Scheduler) -> None:
        """`frames` is called by `start`; what it gives is taken one frame a tick. It may raise
        P2PCallError.
        """
        self.latency_s = 0.0
        self.on_end: Callable[[], None] | None = None
        self.on_error: OnError | None = None
        self._make = frames
        self._frames: Iterator[bytes] | None = None
        self._on_frame: OnFrame | None = None
        self._ended = False
        self._ticker = Ticker(scheduler, self._tick)

    def start(self, on_frame: OnFrame) -> None:
        self._on_frame = on_frame
        self._frames = self._make()
        self._ticker.start()

    def stop(self) -> None:
        self._ticker.stop()

    def _tick(self, due: float) -> None:
        pcm = self._next()
        if self._on_frame is not None:
            self._on_frame(pcm or SILENCE, due)
        if pcm is None and not self._ended:
            self._ended = True
            if self.on_end is not None:
                self.on_end()

    def _next(self) -> bytes | None:
        if self._frames is None or self._ended:
            return None
        try:
            return next(self._frames, None)
        except P2PCallError as error:
            self._frames = None
            if self.on_error is not None:
                self.on_error(error)
            return None


class Writer(Protocol):
    """Where a PacedSink puts its frames."""

    def write(self, pcm: bytes) -> None:
        """Takes one frame. Raises OSError or av.FFmpegError when it can write no more."""

    def close(self) -> None:
        """Completes what is written; raises the same."""


class NullWriter:
    """`--audio-out none`."""

    def write(self, pcm: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class WavWriter:
    """A .wav file that is valid at any moment: its header is brought up to date every second."""

    MAX_DATA_BYTES = 0xFFFF_FFFF - 36 - 1_920
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
        form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 2, 2, 16)
        body = (
            b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", self._data_bytes)
        )
        self._file.seek(0)
        self._all(b"RIFF" + struct.pack("<I", len(body) + self._data_bytes) + body)
        self._file.seek(0, 2)

    def _all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]


class EncodedWriter:
    """An .ogg (Opus) or .flac file through FFmpeg; each packet is flushed, so that a crash costs the last
    second.
    """

    CODECS: ClassVar = {".ogg": "libopus", ".flac": "flac"}
    OPTIONS: ClassVar = {".ogg": {"page_duration": "200000"}}
    """Microseconds: what a page of Ogg holds back."""

    def __init__(self, path: str, suffix: str) -> None:
        options = {"flush_packets": "1", **self.OPTIONS.get(suffix, {})}
        form = suffix.removeprefix(".")
        self._container: OutputContainer = av.open(path, "w", format=form, container_options=options)
        stream = self._container.add_stream(self.CODECS[suffix], rate=SAMPLE_RATE_HZ, layout="mono")
        self._stream = cast(AudioStream, stream)
        self._stream.format = "s16"
        self._pts = 0

    def write(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm, dtype="<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._pts
        self._pts += FRAME_SAMPLES
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


def write_failure(error: OSError | av.FFmpegError, what: str) -> P2PCallError:
    """What it means that a file took no more; some of FFmpeg's errors are the system's, some its own."""
    if isinstance(error, OSError):
        return write_error(error, what)
    return device_error("write-failed", f"{what}: {str(error).lower()}")


class FileWriter:
    """A .wav, .ogg or .flac file, which has its name when it is closed."""

    def __init__(self, file: OutFile) -> None:
        """Makes the file; raises P2PCallError when it cannot."""
        self.file = file
        path, suffix = file.begin(), file.path.suffix.lower()
        try:
            self._writer: Writer = WavWriter(path) if suffix == ".wav" else EncodedWriter(path, suffix)
        except (OSError, av.FFmpegError) as error:
            raise write_failure(error, str(file.path)) from error

    def write(self, pcm: bytes) -> None:
        self._writer.write(pcm)

    def close(self) -> None:
        try:
            self._writer.close()
        finally:
            self.file.finish()  # also where the disk is full: what there is, is kept


class PacedSink:
    """An AudioSink that pulls at real time and writes to a file, a pipe or nowhere."""

    def __init__(
        self, open_writer: Callable[[], Writer], scheduler: Scheduler, what: str = "standard output"
    ) -> None:
        """`open_writer` is called by `start`; it may raise P2PCallError, which is told like a failure to write."""
        self.latency_s = 0.0
        self.on_error: OnError | None = None
        self._open_writer = open_writer
        self._writer: Writer | None = None
        self._what = what
        self._pull: Callable[[], bytes] | None = None
        self._scheduler = scheduler
        self._ticker = Ticker(scheduler, self._tick)

    def start(self, pull: Callable[[], bytes]) -> None:
        self._pull = pull
        self._ticker.start()
        try:
            self._writer = self._open_writer()
        except P2PCallError as error:  # told a moment later: whoever starts it must have done so
            failure, tell = error, self.on_error
            if tell is not None:
                self._scheduler.call_at(self._scheduler.time(), lambda: tell(failure))

    def stop(self) -> None:
        self._ticker.stop()
        self._guard(lambda writer: writer.close())
        self._writer = None

    def _tick(self, due: float) -> None:
        if self._pull is not None:
            pcm = self._pull()
            self._guard(lambda writer: writer.write(pcm))

    def _guard(self, act: Callable[[Writer], None]) -> None:
        """Runs `act`; a failure is told once and ends the writing, not the ticking."""
        if self._writer is None:
            return
        try:
            act(self._writer)
        except (OSError, av.FFmpegError) as error:
            writer, self._writer = self._writer, None
            with suppress(OSError, av.FFmpegError):
                writer.close()
            told = write_failure(error, self._what)
            if self.on_error is not None:
                self.on_error(told)
