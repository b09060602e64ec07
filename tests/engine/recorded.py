"""Calls that are recorded, in virtual time: what is told, what is kept."""

import asyncio
from pathlib import Path

from calls import beside
from seeing import Pair, SeeingUi

from p2pcall import events
from p2pcall.engine.questions import QUESTION_REST_S
from p2pcall.engine.user_agent import UserAgent
from p2pcall.proto.messages import ControlType, RecordMessage, pack_record
from p2pcall.store.recording_keys import recording_key
from p2pcall.store.recordings import Entry, RecordingReader, all_recordings


def states(ui: SeeingUi) -> list[tuple[str, str, str]]:
    """What a script is told: whose recording, its state, who did it."""
    return [(event.side, event.state, event.by) for event in ui.of(events.Recording)]


async def until(ui: SeeingUi, side: str, state: str) -> None:
    """Until that is told."""
    count = 1
    while (side, state) not in [(event.side, event.state) for event in ui.of(events.Recording)]:
        await ui.wait(events.Recording, count)
        count += 1


async def agreed(pair: Pair) -> None:
    """Alice records, and bob has agreed."""
    pair.alice_ui.press("r")
    await until(pair.bob_ui, "remote", "asked")
    await asyncio.sleep(QUESTION_REST_S)
    pair.bob_ui.press("y")
    await until(pair.alice_ui, "local", "on")
    await until(pair.bob_ui, "remote", "on")


async def hung_up(pair: Pair) -> None:
    pair.alice_ui.press("ctrl-c")
    await pair.end()


def kept(side: UserAgent) -> list[Path]:
    return beside(lambda: all_recordings(side.home))


def read(side: UserAgent, path: Path) -> tuple[RecordingReader, list[Entry]]:
    with path.open("rb") as file:
        reader = RecordingReader(path, file, [recording_key(side.identity)])
        return reader, list(reader.entries())


def said(pair: Pair, *messages: RecordMessage) -> None:
    """A hostile alice says this to bob."""
    (line,) = pair.alice.node._lines.values()
    for message in messages:
        line.send_control(ControlType.RECORD, pack_record(message))
