"""Bodies of call messages: what is packed is parsed, what is malformed is None."""

import pytest

from p2pcall.proto import messages as m
from p2pcall.proto.messages import Greeting, Reason

NONCE = b"nonce of 16 byte"


@pytest.mark.parametrize("audio", [True, False])
@pytest.mark.parametrize("video", [True, False])
@pytest.mark.parametrize("name", ["", "bob", "Ünïcödé", "名" * 21])
def test_greeting_is_read_as_written(name: str, audio: bool, video: bool) -> None:
    assert m.parse_greeting(m.pack_greeting(name, audio, video)) == Greeting(name, audio, video)
    assert m.parse_ringing(m.pack_name(name)) == Greeting(name)
    accept = m.parse_accept(NONCE + m.pack_greeting(name, audio, video))
    assert accept == Greeting(name, audio, video, NONCE)


def test_name_too_long_or_no_text_raises() -> None:
    assert len(m.pack_name("x" * 64)) == 65
    with pytest.raises(ValueError, match="64 bytes"):
        m.pack_name("é" * 33)
    with pytest.raises(UnicodeEncodeError):
        m.pack_name("\ud800")


def test_malformed_name_is_none() -> None:
    good = m.pack_name("alice")
    bodies = [good[:length] for length in range(len(good))]
    bodies += [good + b"x", b"\x01\xff", b"\x02\xc3(", bytes([65]) + b"x" * 65]
    for body in bodies:
        assert m.parse_ringing(body) is None
        assert m.parse_greeting(b"\3" + body) is None
    assert m.parse_greeting(b"") is None


def test_answer_without_its_whole_nonce_is_none() -> None:
    good = NONCE + m.pack_greeting("bob", True, False)
    for length in range(len(good)):
        assert m.parse_accept(good[:length]) is None
    assert m.parse_accept(good + b"x") is None
    assert m.parse_accept(m.pack_greeting("bob", True, False)) is None, "as it was before version 3"


def test_nonce_alone_is_all_that_a_reveal_says() -> None:
    assert m.parse_reveal(NONCE) == Greeting(nonce=NONCE)
    for length in {*range(40)} - {len(NONCE)}:
        assert m.parse_reveal(bytes(length)) is None


def test_unknown_flags_are_let_through() -> None:
    assert m.parse_greeting(b"\xff\x01x") == Greeting("x", True, True)


@pytest.mark.parametrize("reason", [reason for reason in Reason if not reason.local])
def test_reason_is_read_as_written(reason: Reason) -> None:
    assert m.parse_reason(bytes([reason]), Reason.HUNG_UP) is reason


@pytest.mark.parametrize("value", [0, 99, 255, Reason.LOST, Reason.SILENT, Reason.BROKEN_PROMISE])
def test_reason_unknown_or_not_for_sending_still_ends_the_call(value: int) -> None:
    assert m.parse_reason(bytes([value]), Reason.DECLINED) is Reason.DECLINED


def test_reason_of_wrong_length_is_none() -> None:
    assert m.parse_reason(b"", Reason.HUNG_UP) is None
    assert m.parse_reason(b"\1\1", Reason.HUNG_UP) is None


def test_slugs_are_those_of_the_command_line() -> None:
    assert [reason.slug for reason in (Reason.NO_ANSWER, Reason.HUNG_UP, Reason.BROKEN_PROMISE)] == [
        "no-answer",
        "hung-up",
        "broken-promise",
    ]


@pytest.mark.parametrize("act", list(m.RecordAct))
def test_record_is_read_as_written(act: m.RecordAct) -> None:
    message = m.RecordMessage(act, 2**32 - 1, 2**16 - 1)
    assert m.parse_record(m.pack_record(message)) == message


@pytest.mark.parametrize("body", [b"", bytes(6), bytes(8), b"\0" + bytes(6), b"\6" + bytes(6), b"\xff" * 7])
def test_record_of_wrong_length_or_with_an_unknown_act_is_none(body: bytes) -> None:
    assert m.parse_record(body) is None


def test_media_flags_have_a_bit_each() -> None:
    assert m.media_flags(True, False) == 1
    assert m.media_flags(False, True) == 2
    assert m.media_flags(True, True, True) == 7
