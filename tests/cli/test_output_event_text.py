"""What people read about comparing words: at the question, after the answer, and after the call."""

import asyncio
import io

import pytest
from fakeenv import fake_env
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from p2pcall import events
from p2pcall.cli import event_text
from p2pcall.cli.output import CommandOutput
from p2pcall.view.hud import HudState
from p2pcall.view.plainline import plain_line, wrapped
from p2pcall.view.sanitize import width

ASKED = "Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256"
SAS = ("tissue", "adroitness", "tracker", "bravado")
CALL = HudState(name="bob", protocol="Noise_XX_25519_AESGCM_SHA256", words=SAS, safety=("12345",) * 12)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ("verified", "bob is verified from now on"),
        ("contact", "bob is not verified: the words are not the same"),
        ("new", "bob is not verified: the words are not the same"),
    ],
)
def test_what_the_answer_means(known: str, told: str) -> None:
    assert event_text.event_line(events.Verified("00000000", "bob", "abcd", known)) == told


def test_the_summary_of_a_call_has_the_words() -> None:
    ended = events.Ended("00000000", "hung-up", 65.2, 0, events.Figures(), SAS, "dad", "abcd", "remote")
    assert event_text.event_line(ended) == "dad hung up after 1:05, words: tissue adroitness tracker bravado"
    assert event_text.event_line(replace(ended, by="local", sas=())) == "hung up after 1:05"
    assert (
        event_text.event_line(replace(ended, reason="declined", duration_s=0.0, sas=()))
        == "the call was declined"
    )


def test_who_ended_it_and_when_it_was_missed_is_told() -> None:
    ended = events.Ended("00000000", "max-duration", 8.0, 0, events.Figures(), (), "dad", "abcd", "local")
    assert event_text.event_line(ended) == "hung up after 0:08 (--max-duration)"
    assert event_text.event_line(replace(ended, by="remote")) == "dad hung up after 0:08"
    assert event_text.event_line(replace(ended, reason="lost", by="")) == "the network went away after 0:08"
    missed = replace(ended, reason="missed", duration_s=0.0, by="")
    assert event_text.event_line(missed, "22:41") == "22:41 missed call from dad"


def test_a_call_that_nobody_was_asked_about_is_told_with_the_time_of_day() -> None:
    missed = events.Warning("missed-call", "missed call from dad (abcd): you were busy", "dad", "abcd")
    assert (
        event_text.event_line(missed, "22:41")
        == "p2pcall: warning: 22:41 missed call from dad (abcd): you were busy"
    )
    other = events.Warning("window-lost", "the display went away")
    assert event_text.event_line(other, "22:41") == "p2pcall: warning: the display went away"


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, "looking ...\n"), ({"plain": True}, "looking ...\n"), ({"quiet": True}, ""), ({"json": True}, "")],
)
def test_what_is_waited_for_is_told_to_people_alone(options: dict[str, bool], told: str) -> None:
    env = fake_env()
    with CommandOutput(env, **options) as output:
        output.progress("looking ...")
    assert isinstance(env.stderr, io.StringIO)
    assert isinstance(env.stdout, io.StringIO)
    assert (env.stderr.getvalue(), env.stdout.getvalue()) == (told, "")


def test_what_a_call_brings_is_told() -> None:
    incoming = events.Incoming("00000000", "dad", "abcd", "new", True, True)
    assert (
        event_text.event_line(incoming)
        == "dad (not verified, not a contact, abcd) is calling: voice and picture"
    )
    nothing = replace(incoming, audio=False, video=False)
    assert (
        event_text.event_line(nothing)
        == "dad (not verified, not a contact, abcd) is calling, sends neither sound nor picture"
    )


def test_one_word_says_that_the_words_were_not_compared() -> None:
    for known in ("new", "contact"):
        connected = events.Connected("00000000", "dad", "abcd", known, "Noise_XX", SAS, True, True, 1.0)
        assert (event_text.event_line(connected) or "").startswith(
            "connected with dad (not verified), Noise_XX"
        )
        assert plain_line(replace(CALL, known=known)).startswith("bob (not verified), ")
    incoming = events.Incoming("00000000", "dad", "abcd", "contact", True, True)
    assert event_text.event_line(incoming) == "dad (not verified, abcd) is calling: voice and picture"


@given(st.text(alphabet="ab 李", max_size=200), st.integers(1, 100))
def test_a_line_is_broken_between_words_alone(text: str, cells: int) -> None:
    lines = wrapped(text, cells).split("\n")
    assert " ".join([lines[0], *[line.removeprefix("  ") for line in lines[1:]]]) == text
    assert all(width(line) <= cells or " " not in line.removeprefix("  ") for line in lines)


def test_lines_that_are_broken_are_as_wide_as_they_can_be() -> None:
    connected = events.Connected("0", "bob", "abcd", "new", ASKED, SAS, True, True, 1.0)
    told = wrapped(event_text.event_line(connected) or "", 80)
    assert told.split("\n") == [
        f"connected with bob (not verified), {ASKED},",
        "  words: tissue adroitness tracker bravado",
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "waiting for calls\n"),
        ({"plain": True}, "waiting for calls\n"),
        ({"quiet": True}, ""),
        ({"json": True}, ""),
    ],
)
def test_that_the_next_call_is_waited_for_is_told_to_people_alone(
    options: dict[str, bool], told: str
) -> None:
    env = fake_env()
    CommandOutput(env, **options).waiting()
    assert isinstance(env.stderr, io.StringIO)
    assert env.stderr.getvalue() == told


def test_plain_lines_ask_once_each_time_the_question_opens() -> None:
    env = fake_env()

    async def work() -> None:
        with CommandOutput(env, plain=True) as output:
            view = output.open_view("auto", lambda key: None)
            assert view is not None
            for asked in (False, True, True, False, True):
                view.set_hud(replace(CALL, show_verify=asked))
            view.close()

    asyncio.run(work())
    assert isinstance(env.stderr, io.StringIO)
    lines = env.stderr.getvalue().splitlines()
    assert lines.count("words: tissue adroitness tracker bravado") == 2
    assert sum("are they the same?" in line for line in lines) == 2


def test_an_outage_is_told_in_words() -> None:
    assert event_text.event_line(events.Reconnecting("00000000", 3000)) == (
        "the other side is not heard: waiting for the network"
    )
    back = event_text.event_line(events.Reconnected("00000000", 31_400))
    assert back == "the other side is heard again, after 0:31"


def test_people_are_told_who_records_and_where_it_is() -> None:
    told = {
        (side, state): event_text.event_line(events.Recording("00000000", side, state, "", file))
        for side, file in (("local", "a\x1b.p2prec"), ("remote", ""))
        for state in ("asked", "agreed", "refused", "withdrawn", "on", "off")
    }
    assert told["local", "on"] == "you record this call: a.p2prec"
    assert told["local", "off"] == "the recording has ended: a.p2prec (p2pcall play)"
    assert told["remote", "on"] == "the other side records this call"
    assert told["remote", "agreed"] is told["local", "withdrawn"] is None
