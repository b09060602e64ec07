"""Consent: what is opened when, what the other side's picture asks, and what is remembered of all that."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, BOB, agent, dial, listening
from seeing import ConsentsInMemory, Pair, SeeingUi, with_a_call
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine import devices
from p2pcall.engine.consents import ConsentKind, ConsentState
from p2pcall.engine.offload import offload
from p2pcall.engine.policy import Answer
from p2pcall.engine.questions import MAX_QUESTIONS, QUESTION_REST_S
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.engine.user_agent import UserAgent
from p2pcall.proto.messages import ControlType, media_flags

FILMED = MediaSettings("silence", "none", "test", "none")
GIVEN, WITHDRAWN = ConsentState.GIVEN, ConsentState.WITHDRAWN
SOUND, PICTURE = ConsentKind.SOUND, ConsentKind.PICTURE


class Counter:
    """How often a camera was read and a microphone was started: the devices' own count."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cameras = self.microphones = 0
        self.counted = threading.Event()
        """A device was used."""
        video, audio = devices.open_video_source, devices.open_audio_source

        def counted_video(*args: Any, **given: Any) -> Any:
            return self._counted(video(*args, **given), "read", "cameras")

        def counted_audio(*args: Any, **given: Any) -> Any:
            return self._counted(audio(*args, **given), "start", "microphones")

        monkeypatch.setattr(devices, "open_video_source", counted_video)
        monkeypatch.setattr(devices, "open_audio_source", counted_audio)

    def _counted(self, source: Any, method: str, counter: str) -> Any:
        do = getattr(source, method)

        def counting(*args: Any) -> Any:
            setattr(self, counter, getattr(self, counter) + 1)
            self.counted.set()
            return do(*args)

        setattr(source, method, counting)
        return source


def told(side: UserAgent) -> list[tuple[ConsentKind, ConsentState]]:
    assert isinstance(side.consents, ConsentsInMemory)
    return [(one.kind, one.state) for one in side.consents.remembered]


async def answered(folder: Path, answer: str, scene: Callable[..., Any], **settings: Any) -> None:
    """Bob, who looks at a screen and has a camera, answers alice in this way."""
    network = Network()
    bob_ui, alice_ui = SeeingUi(), SeeingUi()
    bob_ui.answer = answer
    bob = agent(folder, "bob", bob_ui, network, BOB, 2, media=FILMED, once=True)
    alice = agent(folder, "alice", alice_ui, network, ALICE, 1, **settings)
    bob.consents, alice.consents = ConsentsInMemory(), ConsentsInMemory()
    task = await listening(bob)
    calling = asyncio.ensure_future(dial(alice))
    await scene(bob, bob_ui, alice_ui)
    alice_ui.press("ctrl-c")
    await asyncio.gather(calling, task)


def test_neither_microphone_nor_camera_is_opened_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(monkeypatch)

    async def scene() -> None:
        network = Network()
        bob_ui, alice_ui = SeeingUi(), SeeingUi()
        bob_ui.answer = "later"
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2, media=FILMED)
        task = await listening(bob)
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1, media=FILMED, ring_timeout_s=10.0)
        bob.consents, alice.consents = ConsentsInMemory(), ConsentsInMemory()
        assert (await dial(alice)).reason == "no-answer"
        assert (counter.cameras, counter.microphones) == (0, 0)
        assert not told(bob) and not told(alice)
        task.cancel()

    run_virtual(scene)


def test_who_answers_with_sound_only_opens_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(monkeypatch)

    async def scene(bob: UserAgent, bob_ui: SeeingUi, alice_ui: SeeingUi) -> None:
        await alice_ui.wait(events.Stats, 3)
        assert (counter.cameras, counter.microphones) == (0, 2)
        assert not bob_ui.view.hud.video_on and not bob_ui.of(events.Connected)[0].video
        assert told(bob) == [(SOUND, GIVEN)]

    run_virtual(lambda: answered(tmp_path, "audio", scene))


def test_sound_and_picture_are_each_remembered_as_they_are_given_and_taken_back(tmp_path: Path) -> None:
    async def scene(bob: UserAgent, bob_ui: SeeingUi, alice_ui: SeeingUi) -> None:
        await bob_ui.wait(events.Stats)
        for key in "mmvv":
            bob_ui.press(key)
        assert told(bob) == [
            *((SOUND, GIVEN), (PICTURE, GIVEN)),
            *((SOUND, WITHDRAWN), (SOUND, GIVEN), (PICTURE, WITHDRAWN), (PICTURE, GIVEN)),
        ]
        first = bob.consents.remembered[0]
        call = bob_ui.of(events.Connected)[0]
        assert (first.call, first.name, first.fingerprint) == (call.call, "alice", call.fingerprint)

    run_virtual(lambda: answered(tmp_path, "video", scene))


@pytest.mark.parametrize(("key", "films"), [("y", True), ("n", False)])
def test_a_picture_that_the_other_side_begins_in_the_call_asks_for_ones_own_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, films: bool
) -> None:
    counter = Counter(monkeypatch)

    async def scene(bob: UserAgent, bob_ui: SeeingUi, alice_ui: SeeingUi) -> None:
        await alice_ui.wait(events.Stats)
        before = counter.cameras
        alice_ui.press("v")
        await bob_ui.wait(events.Media)
        assert bob_ui.view.hud.question[:2] == ("send your picture, too?", "alice shows one now")
        await asyncio.sleep(QUESTION_REST_S)
        assert not bob_ui.view.hud.video_on
        assert counter.cameras - before <= 100, "alice's own"
        bob_ui.press(key)
        assert bob_ui.view.hud.video_on is films
        assert ((PICTURE, GIVEN) in told(bob)) is films

    run_virtual(lambda: answered(tmp_path, "audio", scene, media=FILMED, sound_only=True))


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_the_question_for_a_picture_goes_when_ours_begins_by_its_key_or_theirs_ends(
    tmp_path: Path, whose: str
) -> None:
    async def scene(bob: UserAgent, bob_ui: SeeingUi, alice_ui: SeeingUi) -> None:
        await alice_ui.wait(events.Stats)
        alice_ui.press("v")
        await bob_ui.wait(events.Media)
        assert bob_ui.view.hud.question
        (bob_ui if whose == "ours" else alice_ui).press("v")
        await asyncio.sleep(1)
        assert not bob_ui.view.hud.question
        assert bob_ui.view.hud.video_on is (whose == "ours")

    run_virtual(lambda: answered(tmp_path, "audio", scene, media=FILMED, sound_only=True))


def test_whoever_calls_with_sound_only_opens_no_camera_until_a_key_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(monkeypatch)

    async def scene(pair: Pair) -> None:
        await asyncio.sleep(2)
        assert counter.cameras == 0
        counter.counted.clear()
        assert not pair.bob_ui.of(events.Incoming)[0].video
        assert not pair.bob_ui.view.hud.remote_video
        pair.alice_ui.press("v")
        await pair.bob_ui.wait(events.Media)
        assert pair.bob_ui.view.hud.remote_video
        await offload(lambda: counter.counted.wait(10))
        assert counter.cameras > 0
        pair.alice_ui.press("ctrl-c")
        await pair.end()

    with_a_call(tmp_path, scene, media=FILMED, sound_only=True)


@pytest.mark.parametrize(
    ("settings", "films"),
    [
        (CallSettings("x", MediaSettings(video_in="test")), True),
        (CallSettings("x", MediaSettings(video_in="test"), sound_only=True), False),
        (CallSettings("x", MediaSettings()), False),
        (CallSettings("x", echo=True), True),
    ],
)
def test_without_being_asked_a_picture_is_sent_only_where_one_was_named(
    settings: CallSettings, films: bool
) -> None:
    assert settings.films_unasked is films


def test_a_camera_that_flickers_asks_a_person_few_times(tmp_path: Path) -> None:
    async def scene(bob: UserAgent, bob_ui: SeeingUi, alice_ui: SeeingUi) -> None:
        await alice_ui.wait(events.Stats)
        (line,) = bob.node._lines.values()
        shown = 0
        for number in range(600):
            line.signals.put_nowait(flags(line, number % 2 == 0))
            await asyncio.sleep(0.25)
            if bob_ui.view.hud.question:
                shown += 1
                bob_ui.press("n")
        assert shown == MAX_QUESTIONS
        assert not bob_ui.view.hud.video_on

    def flags(line: Any, video: bool) -> Any:
        from p2pcall.proto.events import Message

        return Message(line.peer, ControlType.MEDIA, bytes([media_flags(True, video)]))

    run_virtual(lambda: answered(tmp_path, "audio", scene))


def test_answering_without_being_asked_gives_sound_and_is_remembered(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        assert pair.bob.settings.answer is Answer.ANYONE
        assert told(pair.bob) == [(SOUND, GIVEN)]
        pair.alice_ui.press("ctrl-c")
        await pair.end()

    with_a_call(tmp_path, scene)
