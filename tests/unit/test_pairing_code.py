"""The code of a first contact, and the URI that holds it."""

import pytest

from p2pcall.pairing.code import (
    Code,
    Invitation,
    completions,
    invite_uri,
    make_code,
    parse_code,
    parse_invitation,
)
from p2pcall.pairing.constants import MAX_CODE_ADDRESSES, MAX_CODE_CHARS, MAX_CODE_NUMBER, MAX_CODE_WORDS
from p2pcall.proto.handshake.sas import EVEN, ODD

CODE = Code(7, ("crossover", "clockwork"))
KEY = bytes([9]) + bytes(31)


def test_a_code_is_a_number_and_words_of_three_and_two_syllables_in_turn() -> None:
    made = make_code(lambda count: bytes(range(count)), 3)
    assert made == Code(2, (ODD[0], EVEN[1].lower(), ODD[2]))
    assert made.text == f"2-{ODD[0]}-{EVEN[1].lower()}-{ODD[2]}"
    assert parse_code(made.text) == made


def test_each_number_is_in_its_range_and_each_word_can_come() -> None:
    numbers = {make_code(lambda count, first=first: bytes([first] * count)).number for first in range(256)}
    assert min(numbers) >= 1
    assert max(numbers) <= MAX_CODE_NUMBER
    words = {make_code(lambda count, first=first: bytes([first] * count)).words for first in range(256)}
    assert len(words) == 256


@pytest.mark.parametrize(
    "text",
    [
        "7-crossover-clockwork",
        "7 crossover clockwork",
        "  7-Crossover  CLOCKWORK ",
        "007-crossover-clockwork",
        "7-cros-clockw",
    ],
)
def test_a_code_is_read_in_any_case_with_spaces_and_with_words_cut_short(text: str) -> None:
    assert parse_code(text) == CODE


def test_a_whole_word_is_never_ambiguous() -> None:
    for place, words in enumerate((ODD, EVEN)):
        for word in words:
            typed = ["crossover", "clockwork"]
            typed[place] = word.lower()
            assert parse_code(" ".join(["1", *typed])) == Code(1, tuple(typed))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with a number"),
        ("crossover-clockwork", "begins with a number"),
        ("0-crossover-clockwork", "begins with a number"),
        (f"{MAX_CODE_NUMBER + 1}-crossover-clockwork", "begins with a number"),
        ("٧-crossover-clockwork", "begins with a number"),
        ("7", "words, not 0"),
        ("7-crossover", "words, not 1"),
        ("7" + "-crossover-clockwork" * (MAX_CODE_WORDS // 2) + "-crossover", "words, not 9"),
        ("7-clockwork-crossover", "word 1 does not belong"),
        ("7-crossover-crossover", "word 2 does not belong"),
        ("7-con-clockwork", "word 1 is not complete"),
        ("7-zz-clockwork", "word 1 is none"),
        ("7-crossover-clockwurk", "word 2 is none"),
        ("7-crossover-" + "x" * MAX_CODE_CHARS, "too long"),
    ],
)
def test_what_is_no_code_is_told_apart_before_it_costs_the_guess(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_code(text)


def test_two_letters_are_not_enough_even_if_only_one_word_begins_so() -> None:
    assert [word for word in ODD if word.lower().startswith("wy")] == ["Wyoming"]
    assert parse_code("7-wyo-clockwork").words[0] == "wyoming"
    with pytest.raises(ValueError, match="not complete"):
        parse_code("7-wy-clockwork")


def test_the_reason_does_not_repeat_the_words() -> None:
    with pytest.raises(ValueError, match="word 2") as wrong:
        parse_code("7-crossover-secretword")
    assert "crossover" not in str(wrong.value)
    assert "secretword" not in str(wrong.value)


def test_a_code_does_not_show_its_words_by_accident() -> None:
    assert repr(CODE) == "Code(number=7)"
    assert "crossover" not in repr(Invitation(CODE, KEY, (("192.0.2.1", 5),)))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("7-cross", ["7-crossover"]),
        ("7 crossover clo", ["7 crossover clockwork"]),
        ("7-ye", ["7-yesteryear"]),
        ("7-CROSSOVER-clock", ["7-CROSSOVER-clockwork"]),
        ("7-zz", []),
        ("cross", []),
        ("x-cross", []),
        ("7", []),
    ],
)
def test_the_word_that_is_being_typed_is_completed(typed: str, offered: list[str]) -> None:
    assert completions(typed) == offered


def test_all_words_of_the_place_are_offered_where_none_is_begun() -> None:
    assert completions("7-") == [f"7-{word.lower()}" for word in ODD]
    assert len(completions("7-crossover-")) == len(EVEN)


def test_a_uri_holds_key_code_and_addresses_and_survives_the_capitals_of_a_qr_code() -> None:
    addresses = [("192.0.2.1", 51729), ("2001:db8::1", 51730)]
    uri = invite_uri(KEY, CODE, addresses)
    assert uri.endswith("/7-crossover-clockwork/192.0.2.1:51729/2001:db8::1:51730")
    assert set(uri.upper()) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./:")
    for text in (uri, uri.upper(), f" {uri}\n"):
        assert parse_invitation(text) == Invitation(CODE, KEY, tuple(addresses))


def test_a_uri_has_room_for_a_few_addresses_only() -> None:
    uri = invite_uri(KEY, CODE, [("192.0.2.1", port) for port in range(1, 20)])
    assert len(parse_invitation(uri).addresses) == MAX_CODE_ADDRESSES
    longer = parse_invitation(uri + "/192.0.2.1:99")
    assert len(longer.addresses) == MAX_CODE_ADDRESSES


def test_a_code_alone_is_an_invitation_without_a_key() -> None:
    assert parse_invitation("7-crossover-clockwork") == Invitation(CODE)


URI = invite_uri(KEY, CODE, [])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (URI.replace("/1/", "/2/"), "another version"),
        (URI.rpartition("/")[0], "begins with p2pcall:invite/1/"),
        ("p2pcall:id/1/" + "a" * 52, "begins with p2pcall:invite/1/"),
        (URI.replace("/1/", "/1/a"), "not whole"),
        (invite_uri(bytes(32), CODE, []), "none that is safe"),
        (URI + "/192.0.2.1", "no port"),
        (URI + "/192.0.2.1:x", "no port"),
        (URI + "/:5", "no port"),
        (URI + "/" + "1" * MAX_CODE_CHARS, "too long"),
        (URI.replace("clockwork", "clokwork"), "word 2"),
    ],
)
def test_a_uri_that_is_none_is_told_in_plain_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_invitation(text)
