"""Which way up a photograph is: JPEG, PNG, WebP; whatever is damaged is upright."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.device.exif import orientation


def tiff(value: int, order: str = "<", kind: int = 3) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    other = struct.pack(f"{order}HHIHH", 0x100, 3, 1, 640, 0)
    ours = struct.pack(f"{order}HHIHH", 0x112, kind, 1, value, 0)
    return mark + struct.pack(f"{order}IH", 8, 2) + other + ours + bytes(4)


def jpeg(body: bytes) -> bytes:
    app0 = b"\xff\xe0" + struct.pack(">H", 7) + b"JFIF\0"
    app1 = b"\xff\xe1" + struct.pack(">H", len(body) + 8) + b"Exif\0\0" + body
    return b"\xff\xd8" + app0 + app1 + b"\xff\xda" + bytes(20)


def png(body: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + bytes(4)

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"eXIf", body)


def webp(body: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    return b"RIFF" + bytes(4) + b"WEBP" + chunk(b"VP8X", bytes(9)) + chunk(b"EXIF", b"Exif\0\0" + body)


@pytest.mark.parametrize("wrap", [jpeg, png, webp])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_in_every_format(wrap, order: str, value: int) -> None:  # type: ignore[no-untyped-def]
    assert orientation(wrap(tiff(value, order))) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        jpeg(b""),
        jpeg(tiff(9)),
        jpeg(tiff(6, kind=4)),
        jpeg(tiff(6)[:20]),
        jpeg(b"XX" + tiff(6)),
    ],
)
def test_what_is_not_understood_is_upright(data: bytes) -> None:
    assert orientation(data) == 1


@given(st.sampled_from([jpeg, png, webp]), st.binary(max_size=80), st.integers(0, 90), st.integers(0, 255))
def test_nothing_raises_on_bytes(wrap, body: bytes, at: int, value: int) -> None:  # type: ignore[no-untyped-def]
    data = bytearray(wrap(body + tiff(6)))
    data[at % len(data)] = value
    assert 1 <= orientation(bytes(data)) <= 8
    assert 1 <= orientation(bytes(data[:at])) <= 8
