"""Announcing to contacts alone, for days of virtual time: what a network without a wire sees, and who recognises it."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, FakeUi, agent, beside, listening
from fakeenv import FakeClock
from virtual import Network, run_virtual
from zeroconf.asyncio import AsyncServiceInfo

from p2pcall import events
from p2pcall.engine.announcing import Announcing
from p2pcall.engine.policy import Announce
from p2pcall.engine.presence import PresenceKeys, recogniser
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import link as net_link
from p2pcall.net import private_announcer
from p2pcall.net.link import Link
from p2pcall.net.private_announcer import SPREAD_S
from p2pcall.proto import presence
from p2pcall.proto.constants import PRESENCE_PERIOD_S, PRESENCE_TAG_BYTES
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.proto.presence import RECORD_VALUES, period_of
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home

ETHERNET = Link(("192.0.2.1", 2), ("192.0.2.1", "2001:db8::1"), loopback=False)
WIFI = Link(("198.51.100.1",), ("198.51.100.1",), loopback=False)
ANNA, CARL = (KeyPair.from_private(bytes([seed]) * 32) for seed in (1, 2))
POLL_S = 10.0


class Shown:
    """One announcement: what is on the network, and from when until when."""

    def __init__(self, air: "Air", link: Link) -> None:
        self._air, self.link = air, link
        self.since, self.until = air.now(), float("inf")
        self.infos: list[AsyncServiceInfo] = []
        self.zeroconf: Any = self
        self.engine, self.readers = self, ()

    async def async_wait_for_start(self) -> None:
        pass

    async def async_register_service(self, info: AsyncServiceInfo, *, cooperating_responders: bool) -> None:
        assert cooperating_responders, "random names are not tried"
        self.infos.append(info)

    async def async_close(self) -> None:
        """A goodbye; nothing is answered any more."""
        self.until = min(self.until, self._air.now())

    @property
    def texts(self) -> list[bytes]:
        return [info.text for info in self.infos]

    @property
    def values(self) -> set[bytes]:
        return {value[:PRESENCE_TAG_BYTES] for text in self.texts for value in presence._values(text)}


class Air:
    """All announcements that were ever made, on these links."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *links: Link) -> None:
        self.links = list(links)
        self.all: list[Shown] = []
        self.asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(net_link, "LINK_POLL_S", POLL_S)
        monkeypatch.setattr(net_link, "look_for_link", self._look)
        monkeypatch.setattr(private_announcer, "look_for_links", lambda *_: self.links)
        monkeypatch.setattr(private_announcer, "open_link", self._open)
        monkeypatch.setattr(FakeClock, "time", lambda clock: clock.epoch + self.now())

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def _look(self, _bound: object, only: tuple[str, ...]) -> Link | None:
        self.asked.append(only)
        return self.links[0] if self.links else None

    def _open(self, link: Link) -> Shown:
        self.all.append(Shown(self, link))
        return self.all[-1]

    def there(self) -> list[Shown]:
        return [shown for shown in self.all if self.now() < shown.until]


def contacts_of(tmp_path: Path) -> Contacts:
    return Contacts(Home.at(tmp_path / "bob"))


def announcer(tmp_path: Path, *, port: int = 0) -> UserAgent:
    """Bob, who announces to his contacts."""
    side = agent(tmp_path, "bob", FakeUi(), Network(), ALICE, 1, announce=Announce.CONTACTS)
    beside(lambda: contacts_of(tmp_path).pin("anna", ANNA.public, 0))
    beside(lambda: contacts_of(tmp_path).pin("carl", CARL.public, 0))
    return side


def found_by(who: KeyPair, side: UserAgent, shown: Shown) -> list[tuple[str, int] | None]:
    """What this person, who knows Bob, recognises in each record."""
    recognise = recogniser(who.private, {side.identity.public: "bob"}, side.env.clock.time)
    return [recognise(text) for text in shown.texts]


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(POLL_S)


def virtually(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(story)


def test_two_days_of_announcements_have_nothing_in_common_and_contacts_recognise_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        air, side = Air(monkeypatch, ETHERNET), announcer(tmp_path)
        announcing = Announcing(side)
        announcing.start()
        recognised = 0
        for _ in range(192):
            made = len(air.all)
            await until(lambda made=made: len(air.all) > made)
            there = [(("bob", side.node.driver.port))]
            recognised += found_by(ANNA, side, air.all[-1]) == found_by(CARL, side, air.all[-1]) == there
        await announcing.stop()
        shown = air.all
        assert len(shown) >= 192
        assert recognised == 192
        assert not air.there()
        infos = [info for one in shown for info in one.infos]
        assert len(infos) == len(shown)
        for what in (
            [info.name for info in infos],
            [info.server for info in infos],
            [info.text[: presence._NONCE_END] for info in infos],
        ):
            assert len(set(what)) == len(shown)
        assert len({info.port for info in infos}) > 0.97 * len(infos), "as chance has it: 65,000 ports"
        assert len(set().union(*(one.values for one in shown))) == len(shown) * RECORD_VALUES
        told = [f"{info.name} {info.server}" for info in infos]
        assert not [text for text in told if "bob" in text]

    virtually(story)


def test_what_is_old_is_withdrawn_when_its_period_ends_at_a_random_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the old is there beside the new, and there is never nothing."""

    async def story() -> None:
        air, side = Air(monkeypatch, ETHERNET), announcer(tmp_path)
        monkeypatch.setattr(net_link, "LINK_POLL_S", 0.5)
        announcing = Announcing(side)
        announcing.start()
        await until(lambda: len(air.all) == 8)
        await announcing.stop()
        late = []
        for old, new in zip(air.all, air.all[1:], strict=False):
            assert old.until == new.since
            late.append((side.env.clock.epoch + new.since) % PRESENCE_PERIOD_S)
        assert all(0 <= one <= SPREAD_S + 1 for one in late)
        assert max(late) - min(late) > 2, "the exact time of the clock is not shown"

    virtually(story)


def test_each_interface_has_an_announcement_of_its_own_with_its_own_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        air, side = Air(monkeypatch, ETHERNET, WIFI), announcer(tmp_path)
        announcing = Announcing(side)
        announcing.start()
        await until(lambda: len(air.all) == 2 and bool(air.all[1].infos))
        one, other = air.all
        for shown in air.all:
            assert shown.infos[0].parsed_addresses() == list(shown.link.addresses)
            assert found_by(ANNA, side, shown) == [("bob", side.node.driver.port)]
        assert not one.values & other.values
        assert one.infos[0].server != other.infos[0].server
        air.links = [WIFI]
        await until(lambda: len(air.there()) == 1 and len(air.all) == 3)
        assert not air.there()[0].values & other.values, "the same period, and nothing in common"
        await announcing.stop()

    virtually(story)


def test_a_contact_who_may_not_see_it_gets_what_a_stranger_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        air, side = Air(monkeypatch, ETHERNET), announcer(tmp_path)
        announcing = Announcing(side, may_see=lambda public: public != CARL.public)
        announcing.start()
        await until(lambda: bool(air.all and air.all[0].infos))
        assert found_by(ANNA, side, air.all[0]) == [("bob", side.node.driver.port)]
        assert found_by(CARL, side, air.all[0]) == [None]
        await announcing.stop()

    virtually(story)


def test_a_contact_made_or_removed_while_listening_is_told_or_not_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is shown then has nothing in common with what was shown before: nobody can count who came."""

    async def story() -> None:
        air, side = Air(monkeypatch, ETHERNET), announcer(tmp_path)
        task = await listening(side)
        assert side.ui.of(events.Listening)[0].announce == "contacts"
        await until(lambda: bool(air.all and air.all[0].infos))
        people = contacts_of(tmp_path)
        beside(lambda: people.remove("carl"))
        await until(lambda: len(air.all) == 2 and bool(air.all[1].infos))
        assert found_by(ANNA, side, air.all[1]) == [("bob", side.node.driver.port)]
        assert found_by(CARL, side, air.all[1]) == [None]
        beside(lambda: people.verify("anna", ANNA.public))
        await asyncio.sleep(3 * POLL_S)
        assert len(air.all) == 2, "a mark changes nothing"
        beside(lambda: people.pin("carl", CARL.public, 1))
        await until(lambda: len(air.all) == 3 and bool(air.all[2].infos))
        assert found_by(CARL, side, air.all[2]) == [("bob", side.node.driver.port)]
        assert len(set().union(*(one.values for one in air.all))) == 3 * RECORD_VALUES
        assert len({period_of(side.env.clock.epoch + one.since) for one in air.all}) == 1
        side.interrupts.closed()
        await task
        assert not air.there()

    virtually(story)


@pytest.mark.parametrize("permission", ["sees_announced", "may_ring"])
def test_who_may_not_see_it_or_may_not_ring_is_announced_to_no_more_at_once_and_is_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, permission: str
) -> None:
    """Nobody can count by the values who that was."""

    async def story() -> None:
        air, side = Air(monkeypatch, ETHERNET), announcer(tmp_path)
        task = await listening(side)
        await until(lambda: bool(air.all and air.all[0].infos))
        there = [("bob", side.node.driver.port)]
        for made, allowed in ((2, False), (3, True)):
            given = {permission: allowed}
            beside(lambda given=given: contacts_of(tmp_path).permit("carl", **given))
            await until(lambda made=made: len(air.all) == made and bool(air.all[-1].infos))
            assert found_by(ANNA, side, air.all[-1]) == there
            assert found_by(CARL, side, air.all[-1]) == (there if allowed else [None])
            assert len(air.all[-1].values) == RECORD_VALUES
            assert air.there() == air.all[-1:]
        side.interrupts.closed()
        await task

    virtually(story)


def test_a_clock_that_is_set_changes_what_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        air, side = Air(monkeypatch, ETHERNET), announcer(tmp_path)
        clock: Any = side.env.clock
        announcing = Announcing(side)
        announcing.start()
        await until(lambda: bool(air.all and air.all[0].infos))
        for step_s in (-4000.0, 90_000.0):
            made = len(air.all)
            clock.epoch += step_s
            await until(lambda made=made: len(air.all) > made)
            await asyncio.sleep(POLL_S)
            assert found_by(ANNA, side, air.all[-1]) == [("bob", side.node.driver.port)]
        await announcing.stop()

    virtually(story)


def test_without_a_network_or_where_mdns_is_blocked_nothing_is_announced_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        air, side = Air(monkeypatch), announcer(tmp_path)
        ui: Any = side.ui

        def slugs() -> list[str]:
            return [warning.slug for warning in ui.of(events.Warning)]

        announcing = Announcing(side)
        announcing.start()
        await until(lambda: bool(slugs()))
        await asyncio.sleep(5 * POLL_S)
        assert slugs() == ["no-network"]

        def refuse(_: Link) -> None:
            raise P2PCallError("mdns-blocked", "port 5353 is in use", ExitCode.NOT_FOUND)

        with monkeypatch.context() as blocked:
            blocked.setattr(private_announcer, "open_link", refuse)
            air.links = [ETHERNET]
            await until(lambda: len(slugs()) == 2)
            await asyncio.sleep(5 * POLL_S)
        assert slugs() == ["no-network", "mdns-blocked"]

        class Gone(Shown):
            async def async_register_service(self, *_: object, **__: object) -> None:
                raise OSError("network is down")

        gone = Gone(air, ETHERNET)
        with monkeypatch.context() as broken:
            broken.setattr(private_announcer, "open_link", lambda _: gone)
            await until(lambda: len(slugs()) == 3)
        assert gone.until < float("inf"), "what was half announced is withdrawn"
        await until(lambda: bool(air.there() and air.there()[0].infos))
        assert slugs() == ["no-network", "mdns-blocked", "no-network"]
        await announcing.stop()

    virtually(story)


def test_only_the_interfaces_that_are_named_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        air = Air(monkeypatch)
        settings: dict[str, Any] = {"announce": Announce.CONTACTS, "announce_on": ("eth0", "eth7")}
        side = agent(tmp_path, "bob", FakeUi(), Network(), ALICE, 1, **settings)
        ui: Any = side.ui
        announcing = Announcing(side)
        announcing.start()
        await ui.wait(events.Warning)
        assert set(air.asked) == {("eth0", "eth7")}
        text = "nothing is announced: no interface with the name eth0 or eth7 is up"
        assert ui.of(events.Warning)[0].text == text
        await announcing.stop()

    virtually(story)


def test_silent_means_that_nothing_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        air = Air(monkeypatch, ETHERNET)
        side = agent(tmp_path, "bob", FakeUi(), Network(), ALICE, 1, announce=Announce.OFF)
        announcing = Announcing(side)
        announcing.start()
        announcing.renew()
        await asyncio.sleep(5 * POLL_S)
        await announcing.stop()
        assert not air.all
        assert not air.asked

    virtually(story)


def test_keys_shared_with_contacts_are_computed_once_and_one_that_gives_none_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[bytes] = []
    monkeypatch.setattr(
        "p2pcall.engine.presence.presence_key",
        lambda static, public, **how: made.append(public) or presence.presence_key(static, public, **how),
    )
    keys = PresenceKeys(ANNA.private, announcer=True)
    assert keys.of([CARL.public, bytes(32)]).keys() == {CARL.public}
    assert keys.of([CARL.public]) == keys.of([CARL.public])
    assert made.count(CARL.public) == 1
