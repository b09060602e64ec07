"""Pictures into films.

Leaves out size, time and failures (`picture_file`), sound, y4m (`y4m`), where pictures come from (`video_in`).
"""

from contextlib import suppress
from fractions import Fraction
from typing import Final, cast

import av
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from p2pcall.device.container import file_url
from p2pcall.device.letterbox import Letterbox
from p2pcall.device.names import FORMATS
from p2pcall.device.outfile import OutFile
from p2pcall.device.streamfile import StreamFile
from p2pcall.errors import P2PCallError
from p2pcall.media.constants import VIDEO_FPS

KEY_EVERY_FRAMES: Final = 30
"""Where one can begin to play: two seconds."""
MILLISECOND: Final = Fraction(1, 1000)
"""The unit of a picture's time in the file."""
FILE_BPS: Final = 1_500_000
"""For the codecs that cannot be asked for a quality."""
_CLUSTERS: Final = {"cluster_time_limit": "500"}
_FRAGMENTS: Final = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
CRASH_OPTIONS: Final = {".mkv": _CLUSTERS, ".webm": _CLUSTERS, ".mp4": _FRAGMENTS, ".mov": _FRAGMENTS}
"""So that no more than half a second (ms; µs) is held back from the file: a crash costs no more."""


class FilmWriter:
    """A film in a file or a pipe: H.264 where FFmpeg has it, VP8 for .webm."""

    def __init__(self, file: OutFile, canvas: Letterbox) -> None:
        """Begins it. OSError, FFmpegError or P2PCallError if it cannot be."""
        self._container: OutputContainer | None = None
        self._to: StreamFile | None = None
        self._last_ms = -1
        try:
            self._container, self._stream = self._open(file, canvas)
        except (OSError, av.FFmpegError, P2PCallError):
            self.abandon()
            raise

    @property
    def behind(self) -> bool:
        return self._to is not None and self._to.behind

    def write(self, picture: av.VideoFrame, at: float) -> None:
        # Two pictures within a millisecond: the second one is moved, time stamps must grow.
        self._last_ms = max(self._last_ms + 1, round(at * 1000))
        picture.pts, picture.time_base = self._last_ms, MILLISECOND
        picture.pict_type = PictureType.NONE
        self._mux(picture)

    def close(self, at: float) -> None:
        self._mux(None)
        if self._container is not None:
            self._container.close()
        if self._to is not None:
            self._to.close()

    def abandon(self) -> None:
        with suppress(OSError, av.FFmpegError):
            if self._container is not None:
                self._container.close()
        with suppress(OSError):
            if self._to is not None:
                self._to.close()

    def _mux(self, picture: av.VideoFrame | None) -> None:
        if self._container is not None:
            self._container.mux(self._stream.encode(picture))

    def _open(self, file: OutFile, canvas: Letterbox) -> tuple[OutputContainer, VideoStream]:
        suffix = file.path.suffix.lower()
        options = {"flush_packets": "1", **CRASH_OPTIONS.get(suffix, {})}
        self._to = None if file.is_plain else StreamFile(str(file.path))
        where = self._to or file_url(file.begin(), "wb")
        self._container = container = av.open(where, "w", format=FORMATS[suffix], container_options=options)
        h264 = suffix != ".webm" and "libx264" in av.codecs_available
        codec = "libx264" if h264 else "libvpx" if suffix in (".webm", ".mkv") else "mpeg4"
        stream = cast(VideoStream, container.add_stream(codec, rate=VIDEO_FPS))
        stream.width, stream.height, stream.pix_fmt = canvas.width, canvas.height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = MILLISECOND
        stream.codec_context.gop_size = KEY_EVERY_FRAMES
        stream.codec_context.thread_count = 1
        if h264:
            stream.options = {"preset": "veryfast", "crf": "21", "tune": "zerolatency"}
        else:
            stream.bit_rate = FILE_BPS
            if codec == "libvpx":
                stream.options = {"deadline": "realtime", "cpu-used": "-6"}
        return container, stream
