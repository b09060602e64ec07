"""One name, one spelling: joiners stay where a script is spelt with them, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.names import JOINERS, ZWJ, ZWNJ, alike, printable, settled, shortened, tidy
from p2pcall.view.sanitize import clean, width

SPELT = {
    "Persian, between letters that would join": "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
    "Hindi, a virama that shows": "\u0915\u094d\u200c\u0937",
    "Hindi, a half form": "\u0915\u094d\u200d\u0937",
    "Sinhala, Sri": "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
    "Bengali, a joiner before the virama": "\u09b0\u200d\u09cd\u09af\u09be\u09ac",
    "Malayalam, at the end of a word": "\u0d05\u0d35\u0d28\u0d4d\u200d",
}
INVISIBLE = {
    "Latin": ("b\u200co\u200db", "bob"),
    "Cyrillic": ("\u0431\u200c\u043e\u0431", "\u0431\u043e\u0431"),
    "at the ends": ("\u200cbob\u200d", "bob"),
    "beside a space": ("a \u200cb", "a b"),
    "between spaces": ("a \u200c b", "a b"),
    "Persian, behind a letter that joins nothing": ("\u0631\u200c\u0636\u0627", "\u0631\u0636\u0627"),
    "Persian, a joiner": ("\u0639\u0644\u06cc\u200d\u0631", "\u0639\u0644\u06cc\u0631"),
    "Hindi, without a virama": ("\u0915\u200d\u0937", "\u0915\u0937"),
    "a virama on a Latin letter": ("b\u094d\u200cob", "b\u094dob"),
    "two in a row": ("\u0915\u094d\u200d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
    "Chinese": ("\u674e\u200d\u5c0f", "\u674e\u5c0f"),
}


@pytest.mark.parametrize("name", SPELT.values(), ids=SPELT.keys())
def test_a_joiner_stays_where_its_script_needs_it(name: str) -> None:
    assert tidy(name) == clean(name) == name
    assert printable(name)
    assert width(name) == width("".join(char for char in name if char not in JOINERS))


@pytest.mark.parametrize(("name", "left"), INVISIBLE.values(), ids=INVISIBLE.keys())
def test_a_joiner_that_nobody_sees_makes_no_other_name(name: str, left: str) -> None:
    assert tidy(name) == clean(name) == left


def test_names_that_differ_in_joiners_or_case_are_one_name() -> None:
    assert alike("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627") == alike(
        "\u0639\u0644\u06cc\u0631\u0636\u0627"
    )
    assert alike("ZO\u0308E  STRASSE") == alike(" z\xf6e stra\xdfe ")


def test_other_characters_that_do_not_show_are_not_printable() -> None:
    assert not any(printable(f"a{char}b") for char in "\n\x1b\u202e\u200b\ufeff\udcfc\xa0")


def test_a_name_is_not_cut_within_a_character() -> None:
    assert shortened("\xe9" * 40, 59) == "\xe9" * 29
    assert shortened("\u0915\u094d\u200c\u0937", 9) == "\u0915\u094d"


SIGNS = st.sampled_from("ab \u0301\u093c\u094d\u0915\u0937\u0639\u0631\u064b\u200b" + ZWNJ + ZWJ)


@given(st.text(SIGNS, max_size=12))
def test_what_is_tidy_stays_as_it_is(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
    assert clean(clean(text)) == clean(text)
    assert settled(settled(text)) == settled(text)
    assert alike(alike(text)) == alike(text)


def test_joiners_that_do_not_come_to_rest_all_go() -> None:
    """Each that goes lets marks change places and takes the next one's reason away."""
    text = "\u09b0" + ("\u093c\u200d\u09cd\u200d\u0301" * 40)
    assert settled(settled(text)) == settled(text)


def test_the_dot_of_the_local_network_is_the_dot() -> None:
    """They look the same, and stand for each other where names are announced: a second contact of that name is none."""
    assert alike("jan\u2024smit") == alike("Jan.Smit")
