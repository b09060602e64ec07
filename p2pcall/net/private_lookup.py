"""Find a contact on the local link without revealing whom we look for.

We ask for all instances (the question of `peers`: RFC 6763, section 4) and compare the names here. An answer to that
question also brings the address records (section 12.1). If some are missing, we do not ask for them by name, because
that would reveal it: we ask for all instances again. So an observer learns only that somebody looks.

A contact who announces to contacts alone has no name there, and is recognised by the TXT record.

As in `discovery`, an answer only says where to dial; the key proves the identity. Left out: distinguishing several
peers of one name, because no record shows a key; the first complete one is taken.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from zeroconf import (  # type: ignore[attr-defined]
    DNSOutgoing,
    DNSPointer,
    DNSQuestion,
    DNSText,
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
    Recognise,
    announced_name,
    instance_label,
    person,
    to_peer,
)
from p2pcall.net.link import FAILURES, Link, close_quietly, look_for_link, no_network, open_link

ASK_AT_S: Final = (0.0, 0.25, 1.0)
"""When we ask: at once; again, if that was lost; and after 1 s, when a peer that has just answered may answer again."""
MAX_SEEN: Final = 16
"""At most this many instances with a matching name are looked at, and as many with a matching TXT record."""


async def look_up_privately(
    name: str, timeout_s: float, bound: Sequence[str] = (), recognise: Recognise | None = None
) -> LanPeer | None:
    """The peer announced as `name`, or to us alone (`recognise`), or None. `bound` as for `look_for_link`.

    Raises `P2PCallError` (not found) without a network.
    """
    link = look_for_link(bound)
    if link is None:
        raise no_network()
    zc = open_link(link)
    lookout = _Lookout(zc.zeroconf, link, _spellings(name), recognise)
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
    """The labels a name may be announced as: whole, or cut to leave room for a number suffix."""
    cut = (instance_label(name), instance_label(name, MAX_LABEL_BYTES))
    return {names.alike(announced_name(label)) for label in cut}


async def _ask(zc: Zeroconf, found: "asyncio.Future[LanPeer]") -> None:
    """Ask for all instances. Each question is the same: no known answers are listed, or peers would not repeat them."""
    began = asyncio.get_running_loop().time()
    for at_s in ASK_AT_S:
        wait_s = began + at_s - asyncio.get_running_loop().time()
        if at_s and (await asyncio.wait({found}, timeout=max(0.0, wait_s)))[0]:
            return
        question = DNSOutgoing(QUERY)
        question.add_question(DNSQuestion(SERVICE_TYPE, TYPE_PTR, CLASS_IN))
        zc.async_send(question)


class _Lookout(RecordUpdateListener):
    """Receives every answer on the link, and looks at those with a wanted name."""

    def __init__(
        self, zc: Zeroconf, link: Link, wanted: Collection[str], recognise: Recognise | None
    ) -> None:
        self._zc, self._link, self._wanted, self._recognise = zc, link, wanted, recognise
        self._seen: dict[str, None] = {}
        self._recognised: dict[str, None] = {}
        self.found: asyncio.Future[LanPeer] = asyncio.get_running_loop().create_future()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            record = update.new
            if isinstance(record, DNSText) and len(self._recognised) < MAX_SEEN:
                if self._recognise is not None and self._recognise(record.text) is not None:
                    self._recognised[record.name] = None
                continue
            if not isinstance(record, DNSPointer) or record.name.lower() != SERVICE_TYPE:
                continue
            if names.alike(person(record.alias)) in self._wanted and len(self._seen) < MAX_SEEN:
                self._seen[record.alias] = None

    def async_update_records_complete(self) -> None:
        """The records of one answer are all in the cache now."""
        for instance in () if self.found.done() else (*self._recognised, *self._seen):
            peer = self._cached(instance)
            if peer is not None:
                self.found.set_result(peer)
                return

    def _cached(self, instance: str) -> LanPeer | None:
        try:
            info = AsyncServiceInfo(SERVICE_TYPE, instance)
            return to_peer(info, self._link, self._recognise) if info.load_from_cache(self._zc) else None
        except FAILURES:
            return None
