"""Nothing of the other side's reaches a terminal unfiltered: what goes, what stays, how wide it is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.names import JOINERS
from p2pcall.view.sanitize import clean, clip, width


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Bob", "Bob"),
        ("Jürgen Müller-Lüdenscheidt", "Jürgen Müller-Lüdenscheidt"),
        ("李小龍", "李小龍"),
        ("Zoë 🎉", "Zoë 🎉"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;owned\x07x", "]0;ownedx"),
        ("\x9b31mc1", "31mc1"),
        ("a\r\nb\tc\x0bd", "a b c d"),
        ("x\x00\x07\x7fy", "xy"),
        ("bob\u202egpj.exe", "bobgpj.exe"),
        ("\u2066\u2067\u2068\u2069\u200e\u200f\u061cbob", "bob"),
        ("b\u200bo\u200db\ufeff\u00ad", "bob"),
        ("❤\ufe0f", "❤"),
        ("\u3164\u2800\u115f", "?"),
        ("a\ufdfdb\U000120311", "ab1"),
        ("Z" + "\u0301" * 40 + "algo", "Ź\u0301\u0301algo"),
        ("\u0301x", "x"),
        ("\ue000\U0010ffff\ud800", "?"),
        ("  many   spaces\u3000here  ", "many spaces here"),
        ("", "?"),
        ("\x1b", "?"),
        ("🇩🇪👍🏽", "👍"),
    ],
)
def test_clean(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_the_limit_is_in_cells() -> None:
    assert clean("x" * 100) == "x" * 64
    assert clean("李" * 100, 9) == "李" * 4
    assert width(clean("e\u0301" * 500, 10)) == 10


@given(st.text(), st.integers(1, 80))
def test_whatever_comes_is_harmless(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert shown
    assert width(shown) <= limit
    assert shown == shown.strip()
    assert all(char.isprintable() or char in JOINERS for char in shown)
    assert not {unicodedata.bidirectional(char) for char in shown} & {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
    }
    assert clean(shown, limit) == shown
    shown.encode()


@given(st.text(), st.integers(0, 20))
def test_clip_never_exceeds(text: str, cells: int) -> None:
    safe = clean(text)
    for ellipsis in ("", "…", ".."):
        cut = clip(safe, cells, ellipsis)
        assert width(cut) <= cells
        assert cut == safe or cut == "" or cut.endswith(ellipsis)
