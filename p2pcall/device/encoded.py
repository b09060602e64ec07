"""Sound into an .ogg (Opus) or .flac file, by FFmpeg. Leaves out the file's name and place (`files`), and WAV."""

from typing import ClassVar, cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer

from p2pcall.device.container import file_url, system_error
from p2pcall.device.streamfile import StreamFile
from p2pcall.media.constants import FRAME_SAMPLES, SAMPLE_RATE_HZ


class EncodedWriter:
    """An .ogg (Opus) or .flac file through FFmpeg; each packet is flushed, so that a crash costs the last
    second.
    """

    CODECS: ClassVar = {".ogg": "libopus", ".flac": "flac"}
    OPTIONS: ClassVar = {".ogg": {"page_duration": "200000"}}
    """Microseconds: what a page of Ogg holds back."""

    def __init__(self, to: str | StreamFile, suffix: str) -> None:
        options = {"flush_packets": "1", **self.OPTIONS.get(suffix, {})}
        form = suffix.removeprefix(".")
        where = to if isinstance(to, StreamFile) else file_url(to, "wb")
        try:
            self._container: OutputContainer = av.open(where, "w", format=form, container_options=options)
        except av.FFmpegError as error:
            raise system_error(error) from error
        stream = self._container.add_stream(self.CODECS[suffix], rate=SAMPLE_RATE_HZ, layout="mono")
        self._stream = cast(AudioStream, stream)
        self._stream.format = "s16"
        self._pts = 0

    def write(self, pcm: bytes) -> None:
        frame = av.AudioFrame("s16", "mono", FRAME_SAMPLES)
        frame.planes[0].update(pcm)
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._pts
        self._pts += FRAME_SAMPLES
        self._mux(frame)

    def close(self) -> None:
        try:
            self._mux(None)
        finally:
            try:
                self._container.close()
            except av.FFmpegError as error:
                raise system_error(error) from error

    def _mux(self, frame: av.AudioFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except av.FFmpegError as error:
            raise system_error(error) from error
