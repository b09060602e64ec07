"""The question after a call: what keeps somebody, under which name, and that nothing but an answer does."""

import asyncio

import pytest
from fakeenv import fake_env
from window import Window, output_at, run

from p2pcall.cli.output import CommandOutput

pytestmark = pytest.mark.terminal
LAST = b"[n] no "


async def close(output: CommandOutput) -> None:
    await asyncio.to_thread(output.close)
    assert output.terminal is not None
    output.terminal.close()


async def asked(output: CommandOutput, offered: str = "carol", problem: str = "") -> str | None:
    question = output.ask_name("carol", "abcd", offered, problem)
    assert question is not None
    return await question


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (b"k", "carol"),
        (b"n", None),
        (b"q", None),
        (b"olisa\r", "lisa"),
        (b"o  lisa   m \r", "lisa m"),
        (b"olix\x7fsa\r", "lisa"),
        ("ozoë\r".encode(), "zoë"),
        (b"o\r", None),
        (b"oa:b\r" + b"lisa\r", "lisa"),
        (b"\r \x1b[A" + b"k", "carol"),
        (b"o" + b"x" * 100 + b"\r", "x" * 64),
    ],
)
def test_nobody_is_kept_without_an_answer(window: Window, typed: bytes, kept: str | None) -> None:
    """Keys that are not offered do nothing, a name that cannot be dialled is asked for again."""

    async def work() -> None:
        output = output_at(window)
        window.type(b"k")
        answer = asyncio.ensure_future(asked(output))
        await window.see(LAST)
        assert b"keep carol (abcd) as a contact?" in window.seen
        assert not answer.done(), "what was typed before is no answer"
        window.type(typed)
        assert await answer == kept
        assert output.terminal is not None
        assert not output.terminal.entered
        await close(output)

    run(work)


def test_a_name_that_is_somebody_elses_is_not_offered(window: Window) -> None:
    async def work() -> None:
        output = output_at(window)
        answer = asyncio.ensure_future(asked(output, "", "carol is another contact's name"))
        await window.see(b"name: ")
        assert b"[k]" not in window.seen
        assert b"another contact's name" in window.seen
        window.type(b"nina\r")
        assert await answer == "nina", "no key but a letter of the name"
        await close(output)

    run(work)


def test_a_question_that_is_withdrawn_gives_the_terminal_back(window: Window) -> None:
    async def work() -> None:
        output = output_at(window)
        answer = asyncio.ensure_future(asked(output))
        await window.see(LAST)
        answer.cancel()
        await asyncio.wait([answer])
        assert output.terminal is not None
        assert not output.terminal.entered
        await close(output)

    run(work)


def test_who_wants_quiet_or_events_is_not_asked(window: Window) -> None:
    async def work() -> None:
        for options in ({"quiet": True}, {"json": True}):
            output = CommandOutput(window.env(), **options)
            assert output.can_ask
            assert output.ask_name("carol", "abcd", "carol", "") is None
        with CommandOutput(fake_env()) as output:
            assert not output.can_ask
            assert output.ask_name("carol", "abcd", "carol", "") is None

    run(work)
