"""An invite on the local link: what is announced, and what is found."""

import asyncio
import os

import pytest

from p2pcall.net import invites
from p2pcall.net.invites import INVITE_SERVICE, InviteAnnouncer, find_invites
from p2pcall.net.link import Link, look_for_link

LINK = Link(("192.0.2.1",), ("192.0.2.1",), False)
LOOPBACK = ("127.0.0.1",)


def test_an_invite_is_announced_by_its_number_and_by_random_names_alone() -> None:
    seen = []
    for _ in range(2):
        info = InviteAnnouncer(7, 40000, os.urandom)._service(LINK)
        assert dict(info.decoded_properties) == {"v": "1", "n": "7"}
        label = info.name.removesuffix("." + INVITE_SERVICE)
        assert info.server == f"p2pcall-{label}.local."
        seen.append(label)
    assert seen[0] != seen[1]


def test_invites_are_found_by_their_number_and_two_of_one_number_are_both_found() -> None:
    async def main() -> None:
        announcers = [
            InviteAnnouncer(n, port, os.urandom, LOOPBACK) for n, port in ((611, 1), (612, 2), (612, 3))
        ]
        for announcer in announcers:
            announcer.start()
        try:
            (one,) = await find_invites(611, LOOPBACK)
            assert (one.port, one.addresses) == (1, (("127.0.0.1", 1),))
            for _ in range(5):  # the second one may not be announced yet on a machine that is busy
                found = await find_invites(612, LOOPBACK)
                if len(found) == 2:
                    break
            assert sorted(one.port for one in found) == [2, 3]
        finally:
            await asyncio.gather(*(announcer.stop() for announcer in announcers))
        assert await find_invites(611, LOOPBACK, 0.5) == []

    assert look_for_link(LOOPBACK) is not None
    asyncio.run(main())


def test_without_a_network_the_reason_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    async def main() -> None:
        announcer = InviteAnnouncer(7, 1, os.urandom, (), told.append)
        for link in (None, None):
            await announcer._move(link)
        await announcer.stop()

    asyncio.run(main())
    assert [problem.slug for problem in told] == ["no-network"]


def test_a_flood_of_invites_is_not_looked_at_without_a_bound() -> None:
    async def main() -> int:
        search = invites._Search(None, LINK, 7)  # type: ignore[arg-type]
        looked = []

        async def look(name: str) -> None:
            looked.append(name)

        search._look = look  # type: ignore[method-assign]
        for n in range(1000):
            search.seen(None, INVITE_SERVICE, f"{n}.{INVITE_SERVICE}", invites.ServiceStateChange.Added)  # type: ignore[arg-type]
        await search.close()
        return len(search._looked)

    assert asyncio.run(main()) == invites.MAX_INVITES_SEEN
