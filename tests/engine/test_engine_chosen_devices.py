"""Cards that were chosen for all calls: used while they are there, the default one in their place, and back again."""

import asyncio
from typing import Any

import pytest
from fakeenv import fake_env
from virtual import run_virtual

from p2pcall.device import cards
from p2pcall.device.base import device_error
from p2pcall.engine import devices
from p2pcall.engine.devices import open_devices
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.engine.sound import REOPEN_EVERY_S, Chosen, SupervisedSink, SupervisedSource
from p2pcall.errors import P2PCallError

GONE = device_error("device-lost", "it went away")
Supervised = SupervisedSource | SupervisedSink


class FakeCard:
    """A microphone and a speaker in one."""

    def __init__(self, name: str) -> None:
        self.name, self.runs = name, False
        self.endless, self.held, self.piece_ticks, self.prompt = True, False, 2, False
        self.on_end: Any = None
        self.on_error: Any = None
        self.latency_s = 0.0

    def start(self, _: Any) -> None:
        self.runs = True

    def stop(self) -> None:
        self.runs = False


class Cards:
    """Opens them, unless they are away, and knows which one runs."""

    def __init__(self, *away: str) -> None:
        self.away, self.opened, self.looks = set(away), list[FakeCard](), 0

    def open(self, name: str) -> FakeCard:
        self.looks += name == "usb"
        if name in self.away:
            raise GONE
        self.opened.append(FakeCard(name))
        return self.opened[-1]

    @property
    def running(self) -> list[str]:
        return [card.name for card in self.opened if card.runs]

    async def until(self, *running: str) -> None:
        """Threads look for cards, while the time here flies."""
        while self.running != [*running]:
            await asyncio.sleep(REOPEN_EVERY_S)

    async def another_look(self, count: int = 2) -> None:
        seen = self.looks
        while self.looks < seen + count:
            await asyncio.sleep(REOPEN_EVERY_S)

    def fail(self) -> None:
        """What runs fails."""
        (card,) = [card for card in self.opened if card.runs]
        card.on_error(GONE)


def begun(found: Cards, kind: type[Supervised], told: list[str]) -> Supervised:
    chosen: Chosen[Any] = Chosen(lambda: found.open("usb"), "microphone", "usb")
    first = chosen.first(lambda: found.open("default"))
    one: Any = kind(first, found.open, "default", chosen)  # type: ignore[arg-type]

    def tell(error: P2PCallError) -> None:
        told.append(error.slug)

    if kind is SupervisedSource:
        one.start(lambda pcm, at: None, tell)
    else:
        one.prepare()
        one.play(lambda samples: b"", tell)
    return one  # type: ignore[no-any-return]


BOTH = pytest.mark.parametrize("kind", [SupervisedSource, SupervisedSink])


@BOTH
def test_a_chosen_card_that_is_there_is_used_and_nothing_is_told(kind: type[Supervised]) -> None:
    async def scene() -> None:
        found, told = Cards(), list[str]()
        one = begun(found, kind, told)
        await asyncio.sleep(3 * REOPEN_EVERY_S)
        assert (found.running, told, found.looks) == (["usb"], [], 1)
        one.stop()

    run_virtual(scene)


@BOTH
def test_a_chosen_card_that_is_absent_is_told_once_and_used_when_it_is_plugged_in(
    kind: type[Supervised],
) -> None:
    async def scene() -> None:
        found, told = Cards("usb"), list[str]()
        one = begun(found, kind, told)
        assert found.running == ["default"]
        await found.another_look()
        assert [card.name for card in found.opened] == ["default"], "it goes on without a break"
        assert told == ["chosen-device-absent"]
        found.away.clear()
        await found.until("usb")
        one.stop()
        assert told == ["chosen-device-absent"]

    run_virtual(scene)


@BOTH
def test_a_chosen_card_that_is_pulled_out_is_told_and_the_default_one_is_used_until_it_is_back(
    kind: type[Supervised],
) -> None:
    async def scene() -> None:
        found, told = Cards(), list[str]()
        one = begun(found, kind, told)
        for _ in range(2):
            found.away.add("usb")
            found.fail()
            await found.until("default")
            if isinstance(one, SupervisedSource):
                assert not one.away, "somebody speaks into it"
            assert told == ["device-lost", "chosen-device-absent"]
            found.away.clear()
            await found.until("usb")
        one.stop()
        assert found.running == []

    run_virtual(scene)


@BOTH
def test_where_the_default_card_fails_as_well_both_are_looked_for_every_few_seconds(
    kind: type[Supervised],
) -> None:
    async def scene() -> None:
        found, told = Cards("usb"), list[str]()
        one = begun(found, kind, told)
        found.away.add("default")
        found.fail()
        began = asyncio.get_running_loop().time()
        seen = found.looks
        await found.another_look(3)
        assert asyncio.get_running_loop().time() - began >= 2 * REOPEN_EVERY_S
        assert seen < found.looks
        found.away.discard("default")
        await found.until("default")
        one.stop()

    run_virtual(scene)


def test_devices_of_a_call_are_the_chosen_ones_where_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"usb", "default"}

    def find(spec: str, direction: cards.Direction) -> cards.Card:
        if spec not in here:
            raise device_error("no-such-device", spec)
        return cards.Card(0, spec, direction, 1)

    monkeypatch.setattr(cards, "find_card", find)
    for module in ("p2pcall.device.factory", "p2pcall.engine.devices"):
        monkeypatch.setattr(f"{module}.find_card", find, raising=False)
    monkeypatch.setattr(devices, "voice_processing", lambda: None)
    media = MediaSettings(video_in="none", video_out="none", chosen_in="usb", chosen_out="gone")

    async def scene() -> tuple[Any, Any]:
        opened = open_devices(CallSettings("me", media), fake_env())
        return opened.microphone._supervisor.device, opened.speaker._supervisor.device

    microphone, speaker = run_virtual(scene)
    assert microphone._stream._card.name == "usb"
    assert speaker._card.name == "default"
