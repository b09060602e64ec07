"""Which way up a photograph is: the EXIF orientation in a JPEG, PNG or WebP.

Rules: whatever is damaged or unknown is upright; nothing raises on bytes. FFmpeg tells a turn, not a mirroring, of an
EXIF orientation, so it is read here. Leaves out all else that EXIF has. Specs: EXIF 2.32 (4.6.2, tag 0x112), PNG
(chunk eXIf), the WebP container (chunk EXIF).
"""

import struct
from collections.abc import Iterator
from typing import Final

EXIF_UPRIGHT: Final = 1
_ORIENTATION_TAG: Final = 0x112
_EXIF: Final = b"Exif\0\0"
_MAX_ENTRIES: Final = 512


def orientation(data: bytes) -> int:
    """1 to 8, as EXIF counts them; 1 is upright."""
    for tiff in _tiffs(data):
        found = _from_tiff(tiff)
        if found is not None:
            return found
    return EXIF_UPRIGHT


def _tiffs(data: bytes) -> Iterator[bytes]:
    """The EXIF blocks of a picture file."""
    if data[:2] == b"\xff\xd8":
        yield from _from_jpeg(data)
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        yield from _from_chunks(data, 8, ">", b"eXIf", name_first=False)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        yield from _from_chunks(data, 12, "<", b"EXIF", name_first=True)


def _from_jpeg(data: bytes) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xD9, 0xDA):
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + size]
        if data[at + 1] == 0xE1 and body.startswith(_EXIF):
            yield body[len(_EXIF) :]
        at += 2 + max(2, size)


def _from_chunks(data: bytes, at: int, order: str, wanted: bytes, *, name_first: bool) -> Iterator[bytes]:
    """Chunks of a four-letter name and a length: PNG has the length first and a check sum after, RIFF even sizes."""
    while at + 8 <= len(data):
        one, other = data[at : at + 4], data[at + 4 : at + 8]
        name, length = (one, other) if name_first else (other, one)
        size = struct.unpack(f"{order}I", length)[0]
        if name == wanted:
            yield data[at + 8 : at + 8 + size].removeprefix(_EXIF)
        at += 8 + size + (size & 1 if name_first else 4)


def _from_tiff(tiff: bytes) -> int | None:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return None
    start = struct.unpack_from(f"{order}I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return None
    count = struct.unpack_from(f"{order}H", tiff, start)[0]
    for entry in range(min(count, _MAX_ENTRIES)):
        at = start + 2 + 12 * entry
        if at + 12 > len(tiff):
            return None
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, at)
        if tag == _ORIENTATION_TAG and kind == 3:
            return value if 1 <= value <= 8 else EXIF_UPRIGHT
    return None
