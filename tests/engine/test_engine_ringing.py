"""Where a call rings: on the speaker of the call, on a device of its own, or on none."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, dial, listening
from fakeenv import fake_env
from msgspec.structs import replace
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.device.base import OnError
from p2pcall.device.cards import _none_at_all
from p2pcall.device.pace import Ticker
from p2pcall.engine import devices
from p2pcall.engine.devices import open_devices
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.errors import ExitCode, P2PCallError

CARDS = MediaSettings("silence", "default", "none", "none")
RINGS_S = 2.0


class Card:
    """A speaker that counts what it was given that can be heard."""

    def __init__(self, loop: Any) -> None:
        self.latency_s = 0.01
        self.on_error: OnError | None = None
        self.loud = 0
        self.running = False
        self._ticker = Ticker(loop)

    def start(self, pull: Callable[[], bytes]) -> None:
        def tick(_: float) -> None:
            self.loud += any(pull(960))

        self.running, self._tick = True, tick
        self._ticker.join(tick)

    def stop(self) -> None:
        if self.running:
            self._ticker.leave(self._tick)
        self.running = False

    def complete(self) -> None:
        """Nothing is written."""


class Slow(FakeUi):
    """A person who answers after a while, and looks at the cards just before."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__("audio")
        self._look = look

    def ask(self, incoming: events.Incoming, *, camera: bool) -> Awaitable[str]:
        async def answered() -> str:
            await asyncio.sleep(RINGS_S)
            self._look()
            return "audio"

        return asyncio.ensure_future(answered())


def rung(folder: Path, monkeypatch: pytest.MonkeyPatch, ring_on: str | None) -> dict[str, tuple[bool, bool]]:
    """By device: whether it rang, and whether it still ran when the call was up."""
    cards: dict[str, Card] = {}
    rang: dict[str, bool] = {}
    real = devices.open_audio_sink

    def opened(spec: str, loop: Any, **more: Any) -> Any:
        if spec == "none":
            return real(spec, loop, **more)
        return cards.setdefault(spec, Card(loop))

    monkeypatch.setattr(devices, "open_audio_sink", opened)

    def look() -> None:
        rang.update({name: card.loud > 0 for name, card in cards.items()})

    async def scene() -> dict[str, tuple[bool, bool]]:
        network, bob_ui = Network(), Slow(look)
        bob = agent(folder, "bob", bob_ui, network, BOB, 2, once=True, media=CARDS, ring_on=ring_on)
        alice = agent(folder, "alice", FakeUi(), network, ALICE, 1, max_duration_s=3.0)
        listens = await listening(bob)
        calling = asyncio.ensure_future(dial(alice))
        await bob_ui.wait(events.Stats)
        told = {name: (rang[name], card.running) for name, card in cards.items()}
        await calling
        await listens
        assert not any(card.running for card in cards.values())
        return told

    return run_virtual(scene)


def test_it_rings_on_the_speaker_of_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rung(tmp_path, monkeypatch, None) == {"default": (True, True)}


def test_it_rings_on_a_device_of_its_own_and_the_call_is_heard_on_the_speaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = rung(tmp_path, monkeypatch, "loud one")
    assert told == {"default": (False, True), "loud one": (True, False)}


def test_it_rings_on_no_device_if_that_is_wished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rung(tmp_path, monkeypatch, "none") == {"default": (False, True)}


def test_a_ringing_device_that_is_missing_is_told_at_the_start_and_later_the_speaker_rings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def opened(spec: str, loop: Any, **_: Any) -> Any:
        if spec == "gone":
            raise _none_at_all("output")
        return Card(loop)

    monkeypatch.setattr(devices, "open_audio_sink", opened)
    settings = CallSettings("me", CARDS, ring_on="gone")

    async def scene(call: int) -> None:
        assert open_devices(settings, fake_env(), call).ringer is not None, "the speaker is there"

    with pytest.raises(P2PCallError) as caught:
        run_virtual(lambda: scene(0))
    assert caught.value.exit is ExitCode.DEVICE
    assert caught.value.hint == devices.RING_HINT
    run_virtual(lambda: scene(1))
    with pytest.raises(P2PCallError) as caught:
        settings = replace(settings, ring_on="./tone.wav")
        run_virtual(lambda: scene(0))
    assert caught.value.exit is ExitCode.USAGE
