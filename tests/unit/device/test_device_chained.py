"""Joined files are read link by link, whatever pieces they come in; bytes pass unchanged."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.device.chained import FlacLinks, OggLinks, links
from p2pcall.device.source import MediaInput


class Pieces:
    """Gives what it has in pieces of these sizes, over and over."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes, self._turn = io.BytesIO(data), sizes, 0

    def read(self, count: int) -> bytes:
        self._turn += 1
        return self._data.read(min(count, self._sizes[self._turn % len(self._sizes)]))


def page(body: bytes, kind: int = 0) -> bytes:
    laces = [255] * (len(body) // 255) + [len(body) % 255]
    return b"OggS\0" + bytes([kind]) + bytes(20) + bytes([len(laces), *laces]) + body


def all_links(chain: OggLinks | FlacLinks, count: int) -> list[bytes]:
    out = []
    while True:
        whole = b""
        while piece := chain.read(count):
            whole += piece
        out.append(whole)
        if not chain.next_link():
            return out


OGG = [
    page(b"head", 2) + page(b"other head", 2) + page(b"x" * 1000) + page(b"OggS", 4),
    page(b"next", 2) + page(b"y" * 300),
    page(b"last", 2) + page(b"", 4),
]
FLAC = [b"fLaC\0\0\0\x22" + b"fLaC" * 20 + bytes(50), b"fLaC\x80\0\0\x22" + b"z" * 99, b"fLaC\0\0\0\x22"]


@given(st.lists(st.integers(1, 70), min_size=1, max_size=5), st.integers(1, 5_000))
def test_links_of_ogg_are_told_apart(sizes: list[int], count: int) -> None:
    assert all_links(OggLinks(Pieces(b"".join(OGG), sizes)), count) == OGG


@given(st.lists(st.integers(1, 70), min_size=1, max_size=5), st.integers(1, 5_000))
def test_links_of_flac_are_told_apart(sizes: list[int], count: int) -> None:
    assert all_links(FlacLinks(Pieces(b"".join(FLAC), sizes)), count) == FLAC


@given(st.binary(max_size=400), st.integers(0, 400), st.lists(st.integers(1, 70), min_size=1, max_size=3))
def test_nothing_is_lost_of_what_is_damaged(junk: bytes, at: int, sizes: list[int]) -> None:
    data = b"".join(OGG)
    damaged = data[:at] + junk + data[at:]
    for chain in (OggLinks(Pieces(damaged, sizes)), FlacLinks(Pieces(damaged, sizes))):
        assert b"".join(all_links(chain, 100)) == damaged


def test_what_was_not_read_of_a_link_is_skipped() -> None:
    chain = OggLinks(io.BytesIO(b"".join(OGG)))
    chain.read(5)
    assert chain.next_link()
    assert b"next" in chain.read(100)


def test_other_files_are_one_link(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"RIFF and so on")
    media = MediaInput(str(path))
    assert [link is media for link in links(media)] == [True]


@pytest.mark.parametrize("whole", [OGG, FLAC])
def test_a_stream_is_told_by_its_head(whole: list[bytes]) -> None:
    data = b"".join(whole)
    got = []
    for link in links(MediaInput("x", io.BytesIO(data), head=data[:4])):
        assert link.reader is not None
        got.append(link.reader.read(4))
    assert got == [data[:4]] * 3
