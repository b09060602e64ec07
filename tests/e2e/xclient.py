"""A few requests of the X11 protocol, spoken by hand: enough to resize a window as a person does with the mouse.

    with XClient(":7") as x:
        x.resize(x.largest_window(), 640, 400)

No window manager is needed, no library, no authority file. Little-endian; local displays only. Spec: X Window System
Protocol, version 11 (sections 8, 9 and appendix B).
"""

import socket
import struct
from typing import Self

CONFIGURE_WINDOW, GET_GEOMETRY, QUERY_TREE, TRANSLATE_COORDINATES = 12, 14, 15, 40
WIDTH_AND_HEIGHT = 0x0004 | 0x0008
WAIT_S = 10.0


class XClient:
    """A connection to an X server of this machine."""

    def __init__(self, display: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(WAIT_S)
        self._socket.connect(f"/tmp/.X11-unix/X{display.removeprefix(':')}")
        self._socket.sendall(struct.pack("<cxHHHHxx", b"l", 11, 0, 0, 0))
        status, _, _, length = struct.unpack("<BxHHH", self._read(8))
        setup = self._read(4 * length)
        if status != 1:
            raise RuntimeError(f"the X server refused: {setup!r}")
        vendor_length, formats = struct.unpack_from("<H", setup, 16)[0], setup[21]
        (self.root,) = struct.unpack_from("<I", setup, 32 + (vendor_length + 3) // 4 * 4 + 8 * formats)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise RuntimeError("the X server closed the connection")
            data += part
        return data

    def _ask(self, opcode: int, window: int) -> bytes:
        """The reply to a request about a window."""
        self._socket.sendall(struct.pack("<BxHI", opcode, 2, window))
        return self._reply(window)

    def _reply(self, window: int) -> bytes:
        reply = self._read(32)
        if reply[0] != 1:
            raise RuntimeError(f"X error {reply[1]} for window {window:#x}")
        return reply + self._read(4 * struct.unpack_from("<I", reply, 4)[0])

    def windows(self) -> list[int]:
        """The windows on the screen."""
        reply = self._ask(QUERY_TREE, self.root)
        return list(struct.unpack_from(f"<{struct.unpack_from('<H', reply, 16)[0]}I", reply, 32))

    def size(self, window: int) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = struct.unpack_from("<HH", self._ask(GET_GEOMETRY, window), 16)
        return width, height

    def position(self, window: int) -> tuple[int, int]:
        """Where its upper left pixel is on the screen, whatever frame is around it."""
        self._socket.sendall(struct.pack("<BxHIIhh", TRANSLATE_COORDINATES, 4, window, self.root, 0, 0))
        x, y = struct.unpack_from("<hh", self._reply(window), 12)
        return x, y

    def largest_window(self) -> int:
        """The one with the most pixels."""
        return max(self.windows(), key=lambda window: self.size(window)[0] * self.size(window)[1])

    def resize(self, window: int, width: int, height: int) -> None:
        """Give it another size; done on return."""
        self._socket.sendall(
            struct.pack("<BxHIHxxII", CONFIGURE_WINDOW, 5, window, WIDTH_AND_HEIGHT, width, height)
        )
        if self.size(window) != (width, height):
            raise RuntimeError("the X server did not resize the window")

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
