"""A search for what must not be on a disk in the clear: every byte of every file below a folder, and every file's name.

What is looked for is given as it is; each is searched for in the forms in which it may have been written.
"""

import base64
import hashlib
import ipaddress
import quopri
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from p2pcall.store.identity import fingerprint

LEAST_BYTES = 5
"""Shorter things are in random bytes by chance."""


def of_text(text: str) -> Iterator[bytes]:
    """A name, a word, a code."""
    for spelled in {text, text.lower(), text.upper(), quote(text), text.replace("-", " ")}:
        yield from (spelled.encode(), spelled.encode("utf-16-le"), spelled.encode("utf-16-be"))
    yield from of_bytes(text.encode())
    yield quopri.encodestring(text.encode())


def of_bytes(data: bytes) -> Iterator[bytes]:
    """A key, a secret: raw, in hexadecimal, base64 and base32, and the digests that stand for it."""
    yield data
    for spelled in (data.hex(), data.hex().upper(), data.hex(":"), base64.b32encode(data).decode()):
        yield spelled.rstrip("=").encode()
    yield base64.b32encode(data).rstrip(b"=").lower()
    # in base64 it may begin at any of three places of a longer text: what is the same in each
    for before in range(3):
        for coded in (base64.b64encode, base64.urlsafe_b64encode):
            text = coded(bytes(before) + data).rstrip(b"=")
            yield text[(before * 8 + 5) // 6 : len(text) - 1]


def of_key(public: bytes) -> Iterator[bytes]:
    """A public key, with its fingerprint."""
    yield from of_bytes(public)
    printed = fingerprint(public)
    for text in (printed, printed.replace("-", ""), printed.replace("-", " "), printed[:9]):
        yield from (text.encode(), text.upper().encode(), text.encode("utf-16-le"))
    yield base64.b32decode(printed.replace("-", "").upper())
    yield hashlib.sha256(public).digest()


def of_address(host: str, ports: Iterable[int]) -> Iterator[bytes]:
    """An address: as text, and packed with each of its ports."""
    yield from of_text(host)
    packed = ipaddress.ip_address(host).packed
    yield bytes(10) + b"\xff\xff" + packed
    for port in ports:
        for number in (port.to_bytes(2, "big"), port.to_bytes(2, "little")):
            yield from (packed + number, number + packed, packed[::-1] + number)


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def found(folders: Iterable[Path], wanted: dict[str, set[bytes]]) -> list[str]:
    """What is in the clear: the file, and what of it."""
    told = []
    for folder in folders:
        for path in folder.rglob("*"):
            data = (
                str(path.relative_to(folder)).encode()
                + b"\0"
                + (path.read_bytes() if path.is_file() else b"")
            )
            small = data.lower()
            for what, forms in wanted.items():
                told += [
                    f"{path}: {what} as {form!r}"
                    for form in forms
                    if len(form) >= LEAST_BYTES and (form in data or form.lower() in small)
                ]
    return told
