"""Keys come out of bytes however they are cut; what is no key is swallowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.view.keys import KeyParser

CASES = [
    (b"mq ?", ["m", "q", " ", "?"]),
    (b"\x03\x0c\x1a", ["ctrl-c", "ctrl-l", "ctrl-z"]),
    (b"\r\n\t\x7f", ["enter", "enter", "tab", "backspace"]),
    (b"\x1b[A\x1b[B\x1bOC\x1b[D", ["up", "down", "right", "left"]),
    (b"\x1b[3~\x1b[5~\x1b[H\x1b[4~", ["delete", "page-up", "home", "end"]),
    (b"\x1b[1;5A\x1b[15~x", ["up", "x"]),
    ("é李".encode(), ["é", "李"]),
    (b"\xff\xfem", ["m"]),
    (b"\x1b[0nm", ["m"]),
    (b"\x1b[12;40Rm", ["m"]),
    (b"\x1b]11;rgb:0000/0000/0000\x1b\\m", ["m"]),
    (b"\x1bP1$r0q\x1b\\m", ["m"]),
    (b"\x1b[200~quit mq\x1b[A\x1b[201~m", ["m"]),
    (b"\x1b[O\x1b[Im", ["focus-out", "m"]),
    (b"  \x1b[32;1:3u", [" ", " ", "space-up"]),
    (b"\x1b[32;2:3u\x1b[109;1:3u\x1b[1;1:3A\x1b[3;1:3~\x1b[57441;2:3u", ["space-up"]),
    (b"\x1b[27u\x1b[99;5u\x1b[122;5:1u\x1b[92;5u", ["escape", "ctrl-c", "ctrl-z", "ctrl-\\"]),
    (b"\x1b[13u\x1b[9;1u\x1b[127;1:2u\x1b[32u\x1b[233;1u", ["enter", "tab", "backspace", " ", "é"]),
    (b"\x1b[113;3u\x1b[113;9u\x1b[u\x1b[1;?u\x1b[9999999u\x1b[57441u\x1b[128;5um", ["m"]),
    (b"\x1b[113;65u\x1b[99;69u", ["q", "ctrl-c"]),
    (b"\x1bm", ["escape", "m"]),
    (b"\x1b\x1b[A", ["escape", "up"]),
]


@pytest.mark.parametrize(("data", "keys"), CASES)
def test_keys(data: bytes, keys: list[str]) -> None:
    assert KeyParser().feed(data) == keys


@pytest.mark.parametrize(("data", "keys"), CASES)
def test_byte_by_byte(data: bytes, keys: list[str]) -> None:
    parser = KeyParser()
    assert [key for byte in data for key in parser.feed(bytes([byte]))] == keys


def test_answers_are_counted() -> None:
    parser = KeyParser()
    parser.feed(b"\x1b[0n\x1b[0")
    assert parser.answers == 1
    parser.feed(b"n")
    assert parser.answers == 2


def test_a_lone_escape_waits_for_what_follows() -> None:
    parser = KeyParser()
    assert parser.feed(b"\x1b") == []
    assert parser.feed(b"q") == ["escape", "q"]


def test_an_escape_that_nothing_follows_is_the_key() -> None:
    parser = KeyParser()
    for data, held in ((b"\x1b[", False), (b"A", False), (b"\x1b[200~\x1b", False), (b"[201~", False)):
        parser.feed(data)
        assert (parser.escape_held, parser.settle()) == (held, [])
    parser.feed(b"\x1b")
    assert parser.escape_held
    assert parser.settle() == ["escape"]
    assert (parser.escape_held, parser.settle(), parser.feed(b"q")) == (False, [], ["q"])


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_anything_is_bounded(chunks: list[bytes]) -> None:
    parser = KeyParser()
    for chunk in chunks:
        for key in parser.feed(chunk):
            assert key.isprintable()
    assert len(parser._held) <= 4096


def test_an_endless_sequence_is_given_up() -> None:
    parser = KeyParser()
    parser.feed(b"\x1b]" + b"x" * 10_000)
    parser.feed(b"y" * 10_000)
    assert parser.feed(b"\x07m")[-1] == "m"
