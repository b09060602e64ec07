"""Files and streams joined one after another: chained Ogg (radio stations have it), FLAC appended to FLAC.

FFmpeg ends, or plays parts twice, where rate or channels change from one to the next, so each link is read as if it
were a file. Rules: bytes pass through unchanged; what is not understood passes as it is. Leaves out all that is in
the links. Specs: RFC 3533, RFC 9639.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from msgspec.structs import replace

from p2pcall.device.source import MediaInput, Reader, check_is_file

OGG: Final = b"OggS"
FLAC: Final = b"fLaC"
_FLAC_BEGIN: Final = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
"""The mark, and the head of the block that always comes first."""
_OGG_HEADER_BYTES: Final = 27
_OGG_BEGIN: Final = 2  # header type: first page of a logical stream
_PIECE_BYTES: Final = 16_384


def links(media: MediaInput) -> Iterator[MediaInput]:
    """The file itself or, where it may be several, one after another; each is to be read before the next is asked for.

    P2PCallError if it cannot be opened.
    """
    if media.reader is not None:
        yield from _links(media, media.reader, media.head)
        return
    check_is_file(media.name)
    with Path(media.name).open("rb", buffering=0) as file:
        head = file.read(len(OGG))
        file.seek(0)
        if head in (OGG, FLAC):
            yield from _links(media, file, head)
            return
    yield media


def _links(media: MediaInput, reader: Reader, head: bytes) -> Iterator[MediaInput]:
    chain: Chain
    if head.startswith(OGG):
        chain = OggLinks(reader)
    elif head.startswith(FLAC):
        chain = FlacLinks(reader)
    else:
        yield replace(media, reader=reader)
        return
    yield replace(media, reader=chain)
    while chain.next_link():
        yield replace(media, reader=chain)


class Chain(Reader, Protocol):
    """A reader that comes to an end where a link does."""

    def next_link(self) -> bool:
        """Goes on with the next link; whether there is one. What was left of the last one is skipped."""


class _Buffered(ABC):
    """What both have in common: looking ahead, and going on to the next link."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._buffer = bytearray()
        self._begun = False  # what a link begins with has passed
        self._at_link = False

    def next_link(self) -> bool:
        """Goes on with the next link; whether there is one."""
        while self.read(_PIECE_BYTES):
            pass
        there, self._at_link, self._begun = self._at_link, False, False
        return there

    @abstractmethod
    def read(self, count: int) -> bytes:
        """Up to `count` bytes; none at the end of the link."""

    def _have(self, count: int) -> bool:
        """Whether `count` bytes are in the buffer, after reading as many."""
        while len(self._buffer) < count:
            piece = self._reader.read(max(_PIECE_BYTES, count - len(self._buffer)))
            if not piece:
                return False
            self._buffer += piece
        return True

    def _take(self, count: int) -> bytes:
        piece = bytes(self._buffer[:count])
        del self._buffer[:count]
        return piece


class OggLinks(_Buffered):
    """Reads up to the first page of the next link."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._left = 0  # bytes of the page that is passing

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; none at the end of the link."""
        if (not self._left and not self._page()) or not self._have(1):
            return b""
        piece = self._take(min(count, self._left))
        self._left -= len(piece)
        return piece

    def _page(self) -> bool:
        """Looks at what comes next; False at the end of link or input."""
        if self._at_link or not self._have(1):
            return False
        if not self._have(_OGG_HEADER_BYTES) or not self._buffer.startswith(OGG):
            self._left = len(self._buffer)
            return True
        begins = bool(self._buffer[5] & _OGG_BEGIN)
        if begins and self._begun:
            self._at_link = True
            return False
        self._begun = self._begun or not begins
        header = _OGG_HEADER_BYTES + self._buffer[26]
        self._have(header)
        self._left = header + sum(self._buffer[_OGG_HEADER_BYTES:header])
        return True


class FlacLinks(_Buffered):
    """Reads up to the next mark that a file begins with."""

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; none at the end of the link."""
        mark = len(_FLAC_BEGIN[0])
        whole = self._have(2 * mark)
        begin = 0 if self._begun else 1
        marks = [at for at in (self._buffer.find(one, begin) for one in _FLAC_BEGIN) if at >= 0]
        if marks and min(marks) == 0:
            self._at_link = True
            return b""
        end = min(marks) if marks else len(self._buffer) - (mark - 1 if whole else 0)
        piece = self._take(min(count, end))
        self._begun = True
        return piece
