"""Strangers whose calls nobody has answered, on their way to the vault, where they are requests (`store.requests`).

Rules: a call counts if it could have rung here and was never up: missed, declined, turned away because somebody else
rang, or as `--answer never` says. Declining a call says no to this moment and not to this person, so it counts, too.
Not counted are those who may not ring here (`--reach`), blocked keys, contacts, and who failed with a code. Who is
answered afterwards is no request any more. Calls are written together, every few seconds, however many there are, and
one event tells of the new ones. A failure is not told: the call log is in the same vault, and tells it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from ipaddress import IPv4Address, ip_address
from typing import Final, TypeVar

from msgspec.structs import replace

from p2pcall import events, names
from p2pcall.engine.offload import BackgroundTasks, offload
from p2pcall.engine.trust import PeerIdentity, TrustStore
from p2pcall.engine.ui import Ui
from p2pcall.env import Env
from p2pcall.errors import P2PCallError
from p2pcall.proto.admission.limits import source_of
from p2pcall.proto.peer import Peer
from p2pcall.store import retention
from p2pcall.store.recordings import DAY_S
from p2pcall.store.requests import MAX_REQUESTS, CallRequest, CallRequests, evicted
from p2pcall.store.vault import Vault
from p2pcall.types import Address

_T = TypeVar("_T")
WRITE_EVERY_S: Final = 5.0
"""Shortest time between two writes: a flood of strangers costs one transaction in that time."""
ORIGIN_BYTES: Final = 8
"""Enough that no two of the kept ones are equal by chance."""
ORIGIN_KEY_BYTES: Final = 32
ORIGIN_BITS_V4: Final = 24
"""The smallest network that is routed: whoever has one address of it may have all."""
ORIGIN_BITS_V6: Final = 32
"""What a provider has: a customer's /48, with 256 networks of /56, costs nothing."""


class UnansweredStrangers:
    """Those of one `listen`. Call `note` at the end of each call, and `close` at the end."""

    def __init__(self, vault: Vault, trust: TrustStore, env: Env, ui: Ui) -> None:
        self._vault, self._trust, self._env, self._ui = vault, trust, env, ui
        self._requests = CallRequests(vault)
        self._waiting: dict[bytes, CallRequest] = {}
        """Key -> what is to be written; at most `MAX_REQUESTS`, in the same order of precedence as there."""
        self._origin_key = b""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = BackgroundTasks()
        self._turn = asyncio.Lock()
        """One after another: who rang first has the lower number, and who was answered is forgotten last."""
        self._kept = False
        """Whether a new request was kept in this run."""

    def note(self, peer: Peer, claimed: str, who: PeerIdentity, *, answered: bool = False) -> None:
        """A call is over, or was turned away; nothing happens if it was a contact's."""
        key = peer.remote_static
        if who.known != "new":
            return
        if answered:
            self._waiting.pop(key, None)
            self._tasks.do(self._quietly(lambda: self._requests.forget([key])))
            return
        now = self._env.clock.time()
        before = self._waiting.get(key)
        if before is not None:
            self._waiting[key] = replace(before, last=now, calls=before.calls + 1)
            return
        self._waiting[key] = CallRequest(key, names.kept(claimed), now, now, 1, self._origin(peer.address))
        if len(self._waiting) > MAX_REQUESTS:
            del self._waiting[evicted(self._waiting.values()).public]
        if self._timer is None:
            self._write()

    async def close(self) -> None:
        """Write the rest, and say where the requests are if there are new ones."""
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting:
            self._write(again=False)
        await self._tasks.done()
        if self._kept:
            self._tasks.do(self._quietly(self._listed, self._hint))
            await self._tasks.done()

    def _write(self, *, again: bool = True) -> None:
        """Write what waits, and so on as long as there is something."""
        rung, self._waiting, self._timer = list(self._waiting.values()), {}, None
        if rung:
            if again:
                self._timer = asyncio.get_running_loop().call_later(WRITE_EVERY_S, self._write)
            self._tasks.do(self._quietly(lambda: self._added(rung), self._tell))

    def _added(self, rung: list[CallRequest]) -> tuple[list[CallRequest], float]:
        """The new ones, and for how long they are kept."""
        return self._requests.add(rung), retention.request_days(self._vault) * DAY_S

    def _tell(self, kept: tuple[list[CallRequest], float]) -> None:
        new, kept_s = kept
        if not new:
            return
        self._kept = True
        first, count = new[0], len(new)
        who = self._trust.introduce(first.public, first.claimed)
        until = round(first.at + kept_s, 3)
        self._ui.emit(events.Requested(count, first.number, who.name, who.fingerprint, until))

    def _listed(self) -> int:
        return len(self._requests.all(self._env.clock.time()))

    def _hint(self, count: int) -> None:
        who = "a stranger waits" if count == 1 else f"{count} strangers wait"
        if count:
            self._ui.progress(f"{who} for your answer: p2pcall contacts requests")

    async def _quietly(self, work: Callable[[], _T], then: Callable[[_T], object] | None = None) -> None:
        """`work` in a thread, then `then`; a vault that cannot be used ends nothing."""
        async with self._turn:
            with suppress(P2PCallError):
                done = await offload(work)
                if then is not None:
                    then(done)

    def _origin(self, address: Address) -> bytes:
        """Which calls belong together; nobody can tell the network from it, nor after this run make it again."""
        self._origin_key = self._origin_key or self._env.entropy(ORIGIN_KEY_BYTES)
        return blake2b(_network(address).encode(), key=self._origin_key, digest_size=ORIGIN_BYTES).digest()


def _network(address: Address) -> str:
    """The network that costs an attacker something to have many of."""
    site = source_of(address).site
    try:
        ip = ip_address(str(address[0]))
    except (ValueError, IndexError):
        return site
    if ip.is_link_local:
        return site
    bits = ORIGIN_BITS_V4 if isinstance(ip, IPv4Address) else ORIGIN_BITS_V6
    return f"{int(ip) >> ip.max_prefixlen - bits:x} of {ip.version}"
