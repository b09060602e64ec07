"""Pictures on a pipe: YUV4MPEG2, 8 bits, in both directions.

Rules: reading is held to the stream's own rate, so a program that writes faster waits; writing never holds
up the thread that shows pictures: one picture waits, further ones are dropped and counted. The output has
one size, each picture is fitted into it. Leaves out interlacing and more than 8 bits. Spec: yuv4mpeg(5) of
mjpegtools.
"""

from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np

from p2pcall.device.base import OnError, media_file_error
from p2pcall.device.canvas import plane_pixels
from p2pcall.device.pace import Pacer
from p2pcall.device.pipes import FdReader, FdWriter, write_error

MAX_LINE_BYTES = 256
MAX_SIDE = 4_096
WRITE_QUEUE_FRAMES = 1
OUTPUT_FPS = 15
FORMATS = {
    "420": ("yuv420p", 2, 2),
    "422": ("yuv422p", 2, 1),
    "444": ("yuv444p", 1, 1),
    "mono": ("gray", 0, 0),
}
"""Colour space: FFmpeg's name, how many luma columns and rows share one chroma sample (0: none)."""


class Header:
    """The first line of a stream, parsed; raises ValueError for what is none."""

    def __init__(self, line: bytes) -> None:
        fields = line.decode("ascii").split()
        if not fields or fields[0] != "YUV4MPEG2":
            raise ValueError("no YUV4MPEG2 stream")
        values = {field[0]: field[1:] for field in fields[1:]}
        self.width, self.height = int(values.get("W", "0")), int(values.get("H", "0"))
        if not (0 < self.width <= MAX_SIDE and 0 < self.height <= MAX_SIDE):
            raise ValueError(f"a picture of {self.width}x{self.height}")
        above, _, below = values.get("F", "15:1").partition(":")
        self.fps = Fraction(int(above), int(below or "1")) if int(below or "1") else Fraction(0)
        if not 0 < self.fps <= 240:
            raise ValueError("no rate")
        colours = values.get("C", "420jpeg")
        name = "mono" if colours == "mono" else colours[:3]
        if name not in FORMATS or (name != "mono" and colours[3:] not in ("", "jpeg", "paldv", "mpeg2")):
            raise ValueError(f"colours {colours}")
        self.format, across, down = FORMATS[name]
        self.planes = [(self.width, self.height)]
        if across:
            self.planes += [(-(-self.width // across), -(-self.height // down))] * 2
        self.frame_bytes = sum(width * height for width, height in self.planes)

    def frame(self, data: bytes) -> av.VideoFrame:
        """One picture from its `frame_bytes`."""
        frame = av.VideoFrame(self.width, self.height, self.format)
        at = 0
        for plane, (width, height) in zip(frame.planes, self.planes, strict=True):
            rows = np.zeros((plane.height, plane.line_size), dtype=np.uint8)
            pixels = np.frombuffer(data, dtype=np.uint8, count=width * height, offset=at)
            rows[:height, :width] = pixels.reshape(height, width)
            plane.update(rows.tobytes().ljust(plane.buffer_size, b"\0")[: plane.buffer_size])
            at += width * height
        return frame


def frame_bytes(frame: av.VideoFrame) -> bytes:
    """The planes of a picture (8 bits, planar) without padding."""
    return b"".join(plane_pixels(plane).tobytes() for plane in frame.planes)


class StdinVideo:
    """`--video-in -`."""

    size = (640, 480)

    def __init__(self, fd: int) -> None:
        self._reader = FdReader(fd)
        self._pacer = Pacer()
        self._header: Header | None = None
        self._count = 0

    def read(self) -> av.VideoFrame | None:
        """The next picture when it is due; None at the end. Raises P2PCallError for what is no y4m."""
        try:
            if self._header is None:
                line = self._line()
                if not line:
                    return None
                self._header = Header(line)
                self.size = (self._header.width, self._header.height)
            marker = self._line()
            data = self._reader.read(self._header.frame_bytes) if marker.startswith(b"FRAME") else b""
        except (ValueError, OSError) as error:
            hint = "`ffmpeg -i FILE -pix_fmt yuv420p -f yuv4mpegpipe -` makes one"
            raise media_file_error("standard input", f"not y4m: {error}", hint) from error
        if len(data) < self._header.frame_bytes:
            return None
        late = self._pacer.wait_for(self._count / float(self._header.fps))
        self._count += 1
        return None if late is None else self._header.frame(data)

    def close(self) -> None:
        self._pacer.close()
        self._reader.close()

    def _line(self) -> bytes:
        """A line without its end; empty at the end of the input. Raises ValueError when it is too long."""
        line = bytearray()
        while byte := self._reader.read(1):
            if byte == b"\n":
                return bytes(line)
            line += byte
            if len(line) > MAX_LINE_BYTES:
                raise ValueError("no YUV4MPEG2 stream")
        return b""


class StdoutVideo:
    """`--video-out -`: y4m of the canvas that `fit` makes of each picture, 15 pictures a second by name."""

    def __init__(self, fd: int, size: tuple[int, int], fit: Callable[[av.VideoFrame], av.VideoFrame]) -> None:
        self.on_error: OnError | None = None
        self._fd = fd
        self._size = size
        self._fit = fit
        self._writer: FdWriter | None = None
        self._failure: OSError | None = None
        self._told = False

    @property
    def dropped(self) -> int:
        return self._writer.dropped if self._writer is not None else 0

    def show(self, frame: av.VideoFrame) -> None:
        if self._failure is not None:
            self._tell(self._failure)
            return
        data = b"FRAME\n" + frame_bytes(self._fit(frame))
        if self._writer is None:
            self._writer = FdWriter(self._fd, WRITE_QUEUE_FRAMES, self._failed)
            width, height = self._size
            head = f"YUV4MPEG2 W{width} H{height} F{OUTPUT_FPS}:1 Ip A1:1 C420jpeg\n"
            data = head.encode() + data
        self._writer.put(data)

    def view_size(self) -> tuple[int, int]:
        return self._size if self._failure is None else (0, 0)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.stop()

    def _failed(self, error: OSError) -> None:
        self._failure = error

    def _tell(self, failure: OSError) -> None:
        if not self._told:
            self._told = True
            if self.on_error is not None:
                self.on_error(write_error(failure))
