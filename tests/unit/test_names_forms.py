"""A pin is found under whatever form of the name it was made with, or is asked for by."""

import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from p2pcall import names
from p2pcall.engine.trust import TrustStore
from p2pcall.errors import P2PCallError
from p2pcall.net.address import parse_target, undialable
from p2pcall.proto.constants import NAME_BYTES
from p2pcall.store.contacts import Contacts, normalise_name
from p2pcall.store.home import Home
from p2pcall.view.sanitize import clean, width

KEY, OTHER, OWN = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)
SELECTOR = "\ufe0f"
ODD = {
    "two spaces": "anna  b",
    "a variation selector": "bob\u2764\ufe0f",
    "65 cells": "x" * 65,
    "a space where it is cut": "x" * 63 + " yz",
    "33 letters of two bytes": "\u0436" * 33,
    "wide letters": "\u674e" * 40,
    "a letter that is two when folded, where it is cut": "x" * 63 + "\xdf" + "y",
    "joiners, and too long": "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627 " * 8,
    "decomposed": "Zoe\u0308",
    "marks in a heap": "Z\u0301\u0302\u0303\u0304algo",
    "a skin tone": "jo\U0001f44d\U0001f3fd",
    "a host": "a-very-long-name-of-a-host." * 5 + "example",
}


def forms(name: str) -> Iterator[str]:
    """What people, keyboards and other programs make of one name."""
    tidy = names.tidy(name)
    yield from (name, tidy, clean(tidy, 255), names.kept(name))
    yield from (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    yield f"  {name} "
    yield name.replace(" ", "  ")
    whole = unicodedata.normalize("NFC", name)
    yield SELECTOR.join(whole) + SELECTOR
    yield "".join(char for char in name if char not in names.JOINERS)
    yield names.ZWNJ.join(whole)
    for changed in (name.upper(), name.lower(), name.casefold()):
        if unicodedata.normalize("NFC", names.tidy(changed).casefold()) == unicodedata.normalize(
            "NFC", tidy.casefold()
        ):
            yield changed


def pinned(people: TrustStore, contacts: Contacts, name: str, way: str) -> str:
    """The name under which the key is kept, when somebody of that name is dialled, calls, or is added."""
    if way == "added":
        kept = normalise_name(name)
        contacts.pin(kept, KEY, 0.0)
        return kept
    claimed = parse_target(name).host if way == "dialled" else name
    who = (people.introduce if way == "calling" else people.identify)(KEY, claimed)
    people.pin(who.name, KEY, 0.0)
    return who.name


def check(name: str, way: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        contacts = Contacts(Home.at(Path(place)))
        people = TrustStore(contacts, OWN)
        kept = pinned(people, contacts, name, way)
        assert [contact.name for contact in contacts.all()] == [kept]
        assert people.identify(KEY, "whatever it calls itself").name == kept
        assert clean(kept) == kept, "it is shown as it is kept"
        assert width(kept) <= 64
        for form in forms(name):
            assert people.expected_key(form) == KEY, form
            if undialable(form) is None:
                assert people.expected_key(parse_target(form).host) == KEY, form
        with pytest.raises(P2PCallError, match="the pinned one"):
            people.identify(OTHER, form)
        assert contacts.remove(name) is not None


@pytest.mark.parametrize("way", ["dialled", "calling"])
@pytest.mark.parametrize("name", ODD.values(), ids=ODD.keys())
def test_a_pin_is_found_under_whatever_form_it_was_made_with(name: str, way: str) -> None:
    check(name, way)


LETTERS = st.sampled_from(
    "abZ  \xe9\xdf\u0130\u03a3\u03c2\u0301\u0308\u0323\ufe0e\ufe0f\u2764\U0001f44d\U0001f3fd\u674e\uac00\u1100\u1161"
    "\u0436\u093c\u094d\u0915\u0937\u0639\u0631\u064b\u1e9e\ufb01\u2024.-" + names.ZWNJ + names.ZWJ
)


@given(
    st.one_of(st.text(LETTERS, min_size=1, max_size=24), st.text(LETTERS, min_size=20, max_size=90)),
    st.sampled_from(["dialled", "calling", "added"]),
)
def test_every_name_that_can_be_pinned_is_found_in_any_of_its_forms(name: str, way: str) -> None:
    assume(names.printable(name) and names.tidy(name))
    if way == "dialled":
        try:
            assume(parse_target(name).kind == "name")
        except P2PCallError:
            assume(False)
    if way == "added":
        assume(names.kept(name) == names.tidy(name))
    check(name, way)


@given(st.text(LETTERS, max_size=80))
def test_a_name_is_kept_as_far_as_it_is_compared(name: str) -> None:
    kept = names.kept(name)
    assert names.kept(kept) == names.tidy(kept) == kept
    assert names.alike(kept) == names.alike(name)
    assert len(names.alike(name).encode()) <= NAME_BYTES
