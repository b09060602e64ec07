"""YUV4MPEG2, 8 bits: pictures from streams, into streams and files.

Rules: reading is held to the stream's own rate, so a program that writes faster waits; writing never holds
up the thread that shows pictures: one picture waits, further ones are dropped and counted. The output has
one size, each picture is fitted into it. Leaves out interlacing and more than 8 bits. Spec: yuv4mpeg(5) of
mjpegtools.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Final

import av
from av.video.reformatter import ColorRange

from p2pcall.device.base import OnError, media_file_error
from p2pcall.device.letterbox import BLACK_LUMA, NO_COLOUR, VIEW, Letterbox, plane_samples
from p2pcall.device.outfile import OutFile
from p2pcall.device.pace import Pacer
from p2pcall.device.picture import PictureConverter
from p2pcall.device.pipes import STDOUT, FdWriter, PeekedReader, write_error
from p2pcall.device.streams import MakeWriter
from p2pcall.media.constants import MAX_FPS, VIDEO_FPS

Y4M_MARK: Final = b"YUV4MPEG2"
Y4M_HEADER_MAX_BYTES: Final = 256
Y4M_MAX_SIDE: Final = 4_096
MIN_FPS: Final = Fraction(1, 60)
"""Slower or faster is no film but a broken header."""
PICTURE_QUEUE_FRAMES: Final = 1
OUTPUT_FPS: Final = VIDEO_FPS
Y4M_FRAME_MARK: Final = b"FRAME\n"
MOST_REPEATS: Final = 2 * OUTPUT_FPS
"""Of one picture in a file: written at one go, 14 MB at most."""
COLOUR_SPACES: Final = {
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
        if not fields or fields[0].encode() != Y4M_MARK:
            raise ValueError("no YUV4MPEG2 stream")
        values = {field[0]: field[1:] for field in fields[1:]}
        self.width, self.height = int(values.get("W", "0")), int(values.get("H", "0"))
        if not (0 < self.width <= Y4M_MAX_SIDE and 0 < self.height <= Y4M_MAX_SIDE):
            raise ValueError(f"a picture of {self.width}x{self.height}")
        above, _, below = values.get("F", "15:1").partition(":")
        self.fps = Fraction(int(above), int(below or "1")) if int(below or "1") else Fraction(0)
        if not MIN_FPS <= self.fps <= MAX_FPS:
            raise ValueError("no rate")
        colours = values.get("C", "420jpeg")
        name = "mono" if colours == "mono" else colours[:3]
        if name not in COLOUR_SPACES or (
            name != "mono" and colours[3:] not in ("", "jpeg", "paldv", "mpeg2")
        ):
            raise ValueError(f"colours {colours}")
        self.format, across, down = COLOUR_SPACES[name]
        self.full_range = "XCOLORRANGE=FULL" in fields
        wide, _, high = values.get("A", "0:0").partition(":")
        shape = int(wide), int(high or "0")
        self.pixel_shape = Fraction(*shape) if min(shape) > 0 else None
        self.planes = [(self.width, self.height)]
        if across:
            self.planes += [(-(-self.width // across), -(-self.height // down))] * 2
        self.frame_bytes = sum(width * height for width, height in self.planes)

    def frame(self, data: bytes) -> av.VideoFrame:
        """One picture from its `frame_bytes`."""
        frame = av.VideoFrame(self.width, self.height, self.format)
        at = 0
        for plane, (width, height) in zip(frame.planes, self.planes, strict=True):
            end, stride = at + width * height, plane.line_size
            rows = (
                [data[at:end]]
                if stride == width
                else [data[row : row + width].ljust(stride, b"\0") for row in range(at, end, width)]
            )
            plane.update(b"".join(rows).ljust(plane.buffer_size, b"\0")[: plane.buffer_size])
            at = end
        frame.color_range = ColorRange.JPEG if self.full_range else ColorRange.MPEG
        return frame


def _black(width: int, height: int) -> bytes:
    return bytes([BLACK_LUMA]) * (width * height) + bytes([NO_COLOUR]) * (width * height // 2)


def header(size: tuple[int, int]) -> bytes:
    """The first line of a stream that is written."""
    width, height = size
    return f"YUV4MPEG2 W{width} H{height} F{OUTPUT_FPS}:1 Ip A1:1 C420jpeg\n".encode()


def frame_bytes(frame: av.VideoFrame) -> bytes:
    """The planes of a picture (8 bits, planar) without padding."""
    return b"".join(map(plane_samples, frame.planes))


class Y4mVideo:
    """A VideoSource of y4m as it comes."""

    size = VIEW
    endless = False

    def __init__(self, reader: PeekedReader, name: str = "standard input") -> None:
        self._reader, self._name = reader, name
        self._pacer = Pacer()
        self._header: Header | None = None
        self._count = 0
        self._developer = PictureConverter()

    def read(self) -> av.VideoFrame | None:
        """The next picture when it is due; None at the end. Raises P2PCallError for what is no y4m."""
        try:
            if self._header is None:
                line = self._line()
                if not line:
                    return None
                self._header = Header(line)
            marker = self._line()
            data = self._reader.exactly(self._header.frame_bytes) if marker.startswith(b"FRAME") else b""
        except (ValueError, OSError) as error:
            hint = "`ffmpeg -i FILE -pix_fmt yuv420p -f yuv4mpegpipe -` makes one"
            raise media_file_error(self._name, f"not y4m: {error}", hint) from error
        if len(data) < self._header.frame_bytes:
            return None
        late = self._pacer.wait_for(self._count / float(self._header.fps))
        self._count += 1
        if late is None:
            return None
        frame = self._developer.develop(self._header.frame(data), pixel_shape=self._header.pixel_shape)
        self.size = (frame.width, frame.height)
        return frame

    def close(self) -> None:
        self._pacer.close()

    def _line(self) -> bytes:
        """A line without its end; empty at the end of the input. Raises ValueError when it is too long."""
        line = bytearray()
        while byte := self._reader.read(1):
            if byte == b"\n":
                return bytes(line)
            line += byte
            if len(line) > Y4M_HEADER_MAX_BYTES:
                raise ValueError("no YUV4MPEG2 stream")
        return b""


class StreamedY4m:
    """y4m to a stream as pictures come: what `fit` makes of each, 15 a second by name."""

    def __init__(
        self,
        make: MakeWriter,
        size: tuple[int, int],
        fit: Callable[[av.VideoFrame], av.VideoFrame],
        what: str = STDOUT,
    ) -> None:
        """`make` is given the limit and whom to tell a failure; the thread begins with the first picture."""
        self.on_error: OnError | None = None
        self._make, self._what = make, what
        self._size = size
        self._fit = fit
        self._writer: FdWriter | None = None
        self._failure: OSError | None = None
        self._told = False

    @property
    def dropped(self) -> int:
        return self._writer.dropped if self._writer is not None else 0

    def start(self) -> None:
        pass

    def show(self, frame: av.VideoFrame) -> None:
        if self._failure is not None:
            self._tell(self._failure)
            return
        head = Y4M_FRAME_MARK
        if self._writer is None:
            self._writer = self._make(PICTURE_QUEUE_FRAMES, self._failed)
            head = header(self._size) + head
        self._writer.put(head, *map(plane_samples, self._fit(frame).planes))

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
                self.on_error(write_error(failure, self._what))


class Y4mWriter:
    """y4m in a file, which keeps time: 15 pictures a second, each as often as it was seen.

    But no longer than two seconds: who switches the camera off fills no disk.
    """

    behind = False

    def __init__(self, file: OutFile, canvas: Letterbox) -> None:
        """Begins the file, black until the first picture."""
        self._out = io.FileIO(file.begin(), "w")
        self._last = Y4M_FRAME_MARK + _black(canvas.width, canvas.height)
        self._count = 0
        try:
            self._all(header((canvas.width, canvas.height)))
        except OSError:
            self.abandon()
            raise

    def write(self, picture: av.VideoFrame, at: float) -> None:
        self._fill(at)
        self._last = Y4M_FRAME_MARK + frame_bytes(picture)

    def close(self, at: float) -> None:
        with self._out:
            self._all(self._last)  # however short it was seen
            self._count += 1
            self._fill(at)

    def abandon(self) -> None:
        with suppress(OSError):
            self._out.close()

    def _fill(self, at: float) -> None:
        """The last picture for as long as it was seen, but not for ever."""
        due = int(at * OUTPUT_FPS)
        for _ in range(min(due - self._count, MOST_REPEATS)):
            self._all(self._last)
        self._count = max(self._count, due)

    def _all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._out.write(rest) or 0 :]
