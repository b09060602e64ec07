"""A contact on the local link, found without saying whom one looks for.

All are asked who is there (the question that `peers` asks: RFC 6763, section 4), and the name is compared here. An
answer to that question brings the records of where somebody is (section 12.1); what did not come with it is not asked
for, as that question would bear the name: all are asked again. Nothing that leaves says more than that somebody looks.

As in `discovery`, an answer is a hint where to dial; the key says who it is. Left out: telling several of one name
apart, for no record has anything of a key; the first one that is whole is taken.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from zeroconf import (  # type: ignore[attr-defined]
    DNSOutgoing,
    DNSPointer,
    DNSQuestion,
    RecordUpdate,
    RecordUpdateListener,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceInfo

from p2pcall import names
from p2pcall.net.discovery import CLASS_IN, QUERY, TYPE_PTR
from p2pcall.net.lanpeer import (
    MAX_LABEL_BYTES,
    SERVICE_TYPE,
    LanPeer,
    announced_name,
    instance_label,
    person,
    to_peer,
)
from p2pcall.net.link import FAILURES, Link, close_quietly, look_for_link, no_network, open_link

ASK_AT_S: Final = (0.0, 0.25, 1.0)
"""When all are asked: at once, again if that was lost, and when who has just answered somebody else may speak again."""
MAX_SEEN: Final = 16
"""So many instances whose names read the same are looked at."""


async def look_up_privately(name: str, timeout_s: float, bound: Sequence[str] = ()) -> LanPeer | None:
    """Who is announced under `name` on the link; None if nobody is. `bound` as for `look_for_link`.

    Raises `P2PCallError` (not found) without a network.
    """
    link = look_for_link(bound)
    if link is None:
        raise no_network()
    zc = open_link(link)
    lookout = _Lookout(zc.zeroconf, link, _spellings(name))
    try:
        async with asyncio.timeout(timeout_s):
            await zc.zeroconf.async_wait_for_start()
            zc.zeroconf.async_add_listener(lookout, None)
            await _ask(zc.zeroconf, lookout.found)
            return await lookout.found
    except (TimeoutError, *FAILURES):
        return None
    finally:
        lookout.found.cancel()
        await close_quietly(zc)


def _spellings(name: str) -> set[str]:
    """How a name may be announced: whole, or cut at its own end where a label has no more room."""
    cut = (instance_label(name), instance_label(name, MAX_LABEL_BYTES))
    return {names.alike(announced_name(label)) for label in cut}


async def _ask(zc: Zeroconf, found: "asyncio.Future[LanPeer]") -> None:
    """Who is there? The same at every time: what is known already is not listed, for then it would not come again."""
    began = asyncio.get_running_loop().time()
    for at_s in ASK_AT_S:
        wait_s = began + at_s - asyncio.get_running_loop().time()
        if at_s and (await asyncio.wait({found}, timeout=max(0.0, wait_s)))[0]:
            return
        question = DNSOutgoing(QUERY)
        question.add_question(DNSQuestion(SERVICE_TYPE, TYPE_PTR, CLASS_IN))
        zc.async_send(question)


class _Lookout(RecordUpdateListener):
    """Hears every answer on the link, and looks at those whose name is one of ours."""

    def __init__(self, zc: Zeroconf, link: Link, wanted: Collection[str]) -> None:
        self._zc, self._link, self._wanted = zc, link, wanted
        self._seen: dict[str, None] = {}
        self.found: asyncio.Future[LanPeer] = asyncio.get_running_loop().create_future()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            record = update.new
            if not isinstance(record, DNSPointer) or record.name.lower() != SERVICE_TYPE:
                continue
            if names.alike(person(record.alias)) in self._wanted and len(self._seen) < MAX_SEEN:
                self._seen[record.alias] = None

    def async_update_records_complete(self) -> None:
        """The cache has what came with them now."""
        for instance in () if self.found.done() else self._seen:
            peer = self._cached(instance)
            if peer is not None:
                self.found.set_result(peer)
                return

    def _cached(self, instance: str) -> LanPeer | None:
        try:
            info = AsyncServiceInfo(SERVICE_TYPE, instance)
            return to_peer(info, self._link) if info.load_from_cache(self._zc) else None
        except FAILURES:
            return None
