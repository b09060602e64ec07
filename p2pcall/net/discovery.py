"""Who is on the local link: mDNS and DNS-SD (RFC 6762, RFC 6763), service `_p2pcall._udp.local.`.

An `Announcer` announces one chosen name and a port on the link; a `Browser` keeps the list of announced peers;
`browse` and `find_peer` ask once. Interfaces come and go while they run: Announcer and Browser start again on every
change. No network is one of their states, not an error. Names are neither announced nor browsed on a VPN's tunnel.

Privacy (RFC 8882): only the chosen name, port and addresses are announced. TXT holds only `v=1` and no fingerprint,
because a stable id would let everyone follow a person from network to network; the caller learns and verifies the key
in the handshake. The host name in SRV is random for each start, never the machine's. Announcing to contacts alone is in
`private_announcer`; Browser lists those whom it can recognise.

All input is hostile: names are not filtered (the code that prints them does it), their number is bounded. Anyone on
the link can answer to any name: an answer only says where to dial; the handshake proves the identity. Left out:
answers that differ by interface (RFC 6762, section 15); a dial tries one address after the other.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from zeroconf import (  # type: ignore[attr-defined]  # its `__all__` lacks names that it documents
    BadTypeInNameException,
    DNSOutgoing,
    DNSQuestion,
    DNSQuestionType,
    NonUniqueNameException,
    RecordUpdate,
    RecordUpdateListener,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.announcement import Announcement, AnnounceState
from p2pcall.net.lanpeer import (
    MAX_LABEL_BYTES,
    SERVICE_TYPE,
    LanPeer,
    Recognise,
    announced_name,
    instance_label,
    is_private,
    person,
    random_host,
    to_peer,
)
from p2pcall.net.link import (
    FAILURES,
    Link,
    LinkFollower,
    close_quietly,
    keep_to_its_link,
    look_for_link,
    no_network,
    open_link,
)

TXT: Final = {"v": "1"}
TYPE_SRV: Final = 33
"""RFC 2782."""
TYPE_PTR, CLASS_IN, QUERY = 12, 1, 0
"""RFC 1035, sections 3.2.2, 3.2.4 and 4.1.1: the flags of a question."""
MAX_LAN_PEERS: Final = 64
"""At most this many peers are listed; later ones are ignored until one goes."""
RESOLVE_MS: Final = 3000
"""How long to ask for SRV, TXT and addresses of a seen name: questions at 0, 1 and 2 s."""
REFRESH_S: Final = 30.0
"""Interval at which a listed peer is looked up again. Its records live for 120 s; then it answers or is gone."""
RECORDS_SETTLE_S: Final = 1.5
"""Wait after a change before looking up again: old records live for another second (RFC 6762, section 10.2)."""
BROWSE_S: Final = 2.5
"""Enough for two questions, a second apart, and for the slowest answer that RFC 6762 allows: a record just sent to
another host waits for a second (section 6), and then up to half a second to be combined (section 6.4)."""
LOOKUP_S: Final = 1.0
"""How much longer `browse` waits for peers that were seen but whose addresses are not known yet."""
FIND_S: Final = 2.5
"""As `BROWSE_S` for one name; an answer mostly takes some 10 ms."""
CLAIM_S: Final = 20.0
"""How long to look for a free name: it takes 1.3 s, and some 0.2 s more for each name that is taken."""
MAX_CONTESTS: Final = 16
"""How many times a name is defended or given up. More conflicts are an attack, and then the name is kept."""


def _no_free_name(name: str) -> P2PCallError:
    return P2PCallError(
        "name-contested",
        f"somebody on this network claims every name like {name!r}",
        ExitCode.NOT_FOUND,
        "--name gives another one",
    )


async def _ask_everybody(zeroconf: Zeroconf) -> None:
    """Ask with multicast answers (QM), so that the library has the answers when it checks whether a name is free.

    Its own question asks for unicast answers (QU). Such an answer goes to only one of the programs on this machine
    that have port 5353: if there are several, a taken name looks free again and again.
    """
    await zeroconf.async_wait_for_start()
    question = DNSOutgoing(QUERY)
    question.add_question(DNSQuestion(SERVICE_TYPE, TYPE_PTR, CLASS_IN))
    zeroconf.async_send(question)


class _ContestWatch(RecordUpdateListener):
    """Notices when another host claims our name: two that start at once do not see each other's probes."""

    def __init__(self, info: AsyncServiceInfo, contested: Callable[[str], None]) -> None:
        self._info = info
        self._contested = contested

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            record = update.new
            if record.type != TYPE_SRV or record.name.lower() != self._info.key or record.is_expired(now):
                continue
            rival = str(getattr(record, "server", "")).lower()
            if rival != self._info.server_key:
                self._contested(rival)


class Announcer(Announcement):
    """Announces `name` and `port` to everybody. It takes about 1.3 s until the name is known to be free.

    If it is taken, `bob` becomes `bob-2`.
    """

    def __init__(
        self,
        name: str,
        port: int,
        entropy: Callable[[int], bytes],
        *,
        bound: Sequence[str] = (),
        only: Sequence[str] = (),
        on_change: Callable[[Announcement], None] | None = None,
    ) -> None:
        self._wanted = instance_label(name)
        super().__init__(announced_name(self._wanted), bound=bound, only=only, on_change=on_change)
        self.host = random_host(entropy)
        self._port = port
        self._zc: AsyncZeroconf | None = None
        self._info: AsyncServiceInfo | None = None
        self._contests = 0

    async def _withdraw(self) -> None:
        zc, self._zc = self._zc, None
        if zc is not None:
            await close_quietly(zc)

    async def _move(self, link: Link | None) -> None:
        await self._leave()
        if link is None:
            self._set(AnnounceState.NO_NETWORK, self.name, no_network(self._only))
            return
        try:
            self._zc = open_link(link)
            self._info = self._service(link)
            await keep_to_its_link(self._zc, link)
            await _ask_everybody(self._zc.zeroconf)
            async with asyncio.timeout(CLAIM_S):
                await self._zc.async_register_service(self._info, allow_name_change=True)
        except P2PCallError as error:
            self._set(AnnounceState.BLOCKED, self.name, error)
        except (BadTypeInNameException, NonUniqueNameException, TimeoutError):
            self._set(AnnounceState.BLOCKED, self.name, _no_free_name(announced_name(self._wanted)))
        except FAILURES:
            self._set(AnnounceState.NO_NETWORK, self.name, no_network())
        else:
            self._zc.zeroconf.async_add_listener(_ContestWatch(self._info, self._contested), None)
            self._set(AnnounceState.ANNOUNCED, person(self._info.name), None)

    async def _leave(self) -> None:
        """Closes without a goodbye, because a goodbye would also remove a peer that has the same name."""
        zc, self._zc = self._zc, None
        if zc is None:
            return
        if self._info is not None:
            zc.zeroconf.registry.async_remove(self._info)
        await close_quietly(zc)

    def _service(self, link: Link) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            SERVICE_TYPE,
            f"{self._wanted}.{SERVICE_TYPE}",
            port=self._port,
            properties=TXT,
            server=self.host,
            parsed_addresses=list(link.addresses),
        )

    def _contested(self, rival: str) -> None:
        """The side with the lower host name keeps the name and announces it again; the other takes a new name."""
        self._contests += 1
        if self._contests > MAX_CONTESTS or self._info is None or self._zc is None:
            return
        if rival > self.host:
            self._zc.zeroconf.async_send(self._zc.zeroconf.generate_service_broadcast(self._info, None))
        else:
            self._follower.wake(again=True)


class Browser:
    """Keeps the list of peers on the link. Calls `on_found` for new and changed peers, `on_lost` for lost ones."""

    def __init__(
        self,
        *,
        on_found: Callable[[LanPeer], None] | None = None,
        on_lost: Callable[[LanPeer], None] | None = None,
        recognise: Recognise | None = None,
    ) -> None:
        """`recognise` finds the contacts among private announcements; without it these are left out."""
        self.problem: P2PCallError | None = None
        """Why no peers can be seen: no network, or no mDNS. None if there is no problem."""
        self._on_found = on_found
        self._on_lost = on_lost
        self._recognise = recognise
        self._peers: dict[str, LanPeer] = {}
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._settling: dict[str, asyncio.TimerHandle] = {}
        self._link: Link | None = None
        self._zc: AsyncZeroconf | None = None
        self._follower = LinkFollower((), self._move)
        self._refresh: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Starts browsing in a task of its own."""
        self._follower.start()
        self._schedule_refresh()

    async def stop(self) -> None:
        """Ends; the list stays as it was. Idempotent."""
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None
        await self._follower.stop()
        await self._close()

    async def looked_up(self, timeout_s: float) -> None:
        """Waits until all seen peers have been looked up, at most `timeout_s`."""
        if self._lookups:
            await asyncio.wait(self._lookups.values(), timeout=timeout_s)

    def peers(self) -> list[LanPeer]:
        """The peers that are there now, by name; one who is announced anew is listed once."""
        there = {peer.place if peer.private else key: peer for key, peer in self._peers.items()}
        return sorted(there.values(), key=lambda peer: (peer.name.casefold(), peer.name))

    async def _move(self, link: Link | None) -> None:
        """Looks up the peers of the old link on the new one; those that are not found there are lost."""
        await self._close()
        self._link = link
        self.problem = no_network() if link is None else None
        if link is not None:
            try:
                self._zc = open_link(link)
                # Multicast answers (QM) from the first question on: a unicast answer (QU) may go to another program
                # on this machine that has port 5353 too, usually the one that answers.
                AsyncServiceBrowser(
                    self._zc.zeroconf,
                    SERVICE_TYPE,
                    handlers=[self._seen],
                    question_type=DNSQuestionType.QM,
                )
            except P2PCallError as error:
                self.problem = error
            except FAILURES:
                self.problem = no_network()
        for key in list(self._peers):
            if self._zc is None:
                self._lose(key)
            else:
                self._look_up(key)

    async def _close(self) -> None:
        lookups = list(self._lookups.values())
        for task in lookups:
            task.cancel()
        for timer in self._settling.values():
            timer.cancel()
        self._settling.clear()
        await asyncio.gather(*lookups, return_exceptions=True)
        self._lookups.clear()
        zc, self._zc = self._zc, None
        if zc is not None:
            await close_quietly(zc)

    def _seen(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            self._lose(name)
        elif self._is_stranger(zeroconf, name):
            pass
        elif name in self._peers or len(self._peers.keys() | self._lookups.keys()) < MAX_LAN_PEERS:
            self._look_up(name)
            if name in self._peers and name not in self._settling:
                loop = asyncio.get_running_loop()
                self._settling[name] = loop.call_later(RECORDS_SETTLE_S, self._settle, name)

    def _is_stranger(self, zeroconf: Zeroconf, name: str) -> bool:
        """Whether it is known already that this is private, and no contact's: then it takes no place in the list."""
        try:
            info = AsyncServiceInfo(SERVICE_TYPE, name)
            info.load_from_cache(zeroconf)
        except FAILURES:
            return False
        known = self._recognise is not None and self._recognise(info.text or b"") is not None
        return is_private(info) and not known

    def _settle(self, key: str) -> None:
        self._settling.pop(key, None)
        self._look_up(key)

    def _look_up(self, key: str) -> None:
        if self._zc is None:
            return
        if key in self._lookups:
            self._again.add(key)
            return
        task = asyncio.get_running_loop().create_task(self._resolve(key), name="mdns-lookup")
        self._lookups[key] = task

    async def _resolve(self, key: str) -> None:
        zc, link = self._zc, self._link
        try:
            while zc is not None and link is not None:
                self._again.discard(key)
                peer = await _request(zc, link, key, RESOLVE_MS, self._recognise)
                if peer is None:
                    self._lose(key)
                elif self._peers.get(key) != peer:
                    told = self._is_told(peer)
                    self._peers[key] = peer
                    if self._on_found is not None and not told:
                        self._on_found(peer)
                if key not in self._again:
                    break
        finally:
            self._lookups.pop(key, None)

    def _lose(self, key: str) -> None:
        peer = self._peers.pop(key, None)
        if peer is not None and self._on_lost is not None and not self._is_told(peer):
            self._on_lost(peer)

    def _is_told(self, peer: LanPeer) -> bool:
        """Whether a private peer is listed there already: what is announced changes, but the peer does not."""
        return peer.private and any(other.place == peer.place for other in self._peers.values())

    def _schedule_refresh(self) -> None:
        for key in list(self._peers):
            self._look_up(key)
        self._refresh = asyncio.get_running_loop().call_later(REFRESH_S, self._schedule_refresh)


async def browse(timeout_s: float = BROWSE_S, recognise: Recognise | None = None) -> list[LanPeer]:
    """The peers on the link now; takes about `timeout_s`. Raises `P2PCallError` (not found) without a network."""
    browser = Browser(recognise=recognise)
    browser.start()
    try:
        await asyncio.sleep(timeout_s)
        await browser.looked_up(LOOKUP_S)
    finally:
        await browser.stop()
    if browser.problem is not None:
        raise browser.problem
    return browser.peers()


async def find_peer(name: str, timeout_s: float = FIND_S, bound: Sequence[str] = ()) -> LanPeer | None:
    """The peer announced as `name`, or None. `bound` as for `look_for_link`: ask only on the links of these addresses.

    Raises `P2PCallError` (not found) without a network.
    """
    link = look_for_link(bound)
    if link is None:
        raise no_network()
    zc = open_link(link)
    label = instance_label(name, MAX_LABEL_BYTES)  # with its number suffix, if it has one
    try:
        return await _request(zc, link, f"{label}.{SERVICE_TYPE}", int(timeout_s * 1000))
    finally:
        await close_quietly(zc)


async def _request(
    zc: AsyncZeroconf, link: Link, key: str, timeout_ms: int, recognise: Recognise | None = None
) -> LanPeer | None:
    try:
        info = AsyncServiceInfo(SERVICE_TYPE, key)
        answered = await info.async_request(zc.zeroconf, timeout_ms)
        return to_peer(info, link, recognise) if answered else None
    except FAILURES:
        return None
