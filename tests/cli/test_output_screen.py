"""While a picture is on the terminal nothing else is written there, whoever writes it."""

import asyncio
import os
import termios
from pathlib import Path

import pytest
from window import Window, output_at, run

from p2pcall import events
from p2pcall.cli.output import CommandOutput

pytestmark = pytest.mark.terminal
COMPLAINT = b"Expression 'err' failed in 'pa_linux_alsa.c'"


def in_a_call(output: CommandOutput, stderr: int) -> None:
    """A picture comes and goes; a library complains and we warn while it is there."""
    view = output.open_view("auto", print)
    assert view is not None
    os.write(stderr, COMPLAINT)
    output.emit(events.Warning("device-lost", "the microphone went away"))
    view.close()
    assert output.terminal is not None
    output.terminal.close()


def test_libraries_complain_in_vain_and_our_own_lines_come_after_the_picture(window: Window) -> None:
    async def work() -> None:
        output, stderr = output_at(window), window.streams[2].fileno()
        for number in (1, 2):
            in_a_call(output, stderr)
            await window.see(b"the microphone went away", number)
            assert COMPLAINT not in window.seen
            assert b"the microphone" not in window.seen.rpartition(b"\x1b[?1049l")[0].rpartition(b"?1049h")[2]
            await asyncio.to_thread(output.close)
            output = output_at(window)
        assert output.terminal is not None
        output.terminal.close()
        os.write(stderr, COMPLAINT)
        await window.see(COMPLAINT)

    run(work)


def test_a_standard_error_that_goes_to_a_file_stays_as_it_is(window: Window, tmp_path: Path) -> None:
    async def work() -> None:
        with (tmp_path / "log").open("w") as log:
            in_a_call(output_at(window, stderr=log), log.fileno())

    run(work)
    told = (tmp_path / "log").read_bytes()
    assert told.startswith(COMPLAINT)
    assert told.endswith(b"the microphone went away\n")


def test_lines_are_broken_between_words_where_the_terminal_ends(window: Window) -> None:
    """What is to be typed is not: it can be copied."""
    hint = "p2pcall listen --audio-in none --audio-out none, or plug a headset in and try again"

    async def work() -> None:
        termios.tcsetwinsize(window.streams[2].fileno(), (24, 40))
        output = output_at(window)
        sas = ("tissue", "adroitness", "tracker", "bravado")
        output.emit(events.Connected("0", "bob", "abcd", "new", "Noise_XX", sas, True, True, 1.0))
        output.emit(events.Error("no-microphone", "there is no microphone", hint, 6))
        await window.see(hint.encode())
        assert window.seen.splitlines()[:3] == [
            b"connected with bob (not verified),",
            b"  Noise_XX, words: tissue adroitness",
            b"  tracker bravado",
        ]
        assert output.terminal is not None
        output.terminal.close()
        await asyncio.to_thread(output.close)

    run(work)
