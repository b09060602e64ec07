"""First contact by a code: `invite` and `join`, each one coroutine that opens and closes everything.

The exchange (`pairing`) runs over UDP, on the kind of sockets that calls have; on the local network the invite is
found by its number (`net.invites`), elsewhere at an address. What knows of addresses is here and in the driver alone,
so that the exchange can run over another transport.

Rules: the inviter keeps the joiner before it shows itself, and then the joiner keeps the inviter. Each is kept as a
verified contact under the user's own name for them, else under the name that they claim, if it can be dialled and no
other contact has it; else with a number. A key that is a contact's already keeps its name and is verified now. Nobody
is unblocked. A reader of standard output that goes away ends nothing: it has the code.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from msgspec import Struct

from p2pcall import events, names
from p2pcall.engine.offload import offload, to_the_end
from p2pcall.engine.trust import TrustStore, own_key
from p2pcall.engine.ui import Ui
from p2pcall.engine.user_agent import Interrupts
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import format_address, parse_target, resolve, undialable
from p2pcall.net.udp import Driver
from p2pcall.pairing.code import Invitation, invite_uri, make_code
from p2pcall.pairing.constants import INVITE_S
from p2pcall.pairing.datagrams import PAIRING_ANSWERS
from p2pcall.pairing.inviter import Inviter
from p2pcall.pairing.joiner import Joiner
from p2pcall.pairing.key_exchange import Introduction
from p2pcall.pairing.outcome import Met, PairingEnd, PairingEvent, PairingOver
from p2pcall.proto.constants import NAME_BYTES
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.store.contact import SHORT_FINGERPRINT, Contact
from p2pcall.store.contacts import Contacts, as_typed
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, load_or_create
from p2pcall.types import Address
from p2pcall.view.sanitize import clean

MAX_NAMESAKES: Final = 100
"""Contacts of one name are told apart by a number up to this; then the fingerprint is the name."""


class PairingSettings(Struct, frozen=True):
    """One `invite` or `join`."""

    name: str
    """What we call ourselves."""
    kept_as: str | None = None
    """The user's name for the other side; None: what they call themselves."""
    bind: tuple[str, ...] = ()
    port: int = 0
    port_given: bool = True


class _Side:
    """What both commands share: our identity, the contacts, signals, the sockets."""

    def __init__(
        self, env: Env, settings: PairingSettings, home: Home, ui: Ui, interrupts: Interrupts
    ) -> None:
        self.env, self.settings, self.ui, self.interrupts = env, settings, ui, interrupts
        self.contacts = Contacts(home)
        self.driver: Driver[PairingEvent]

    async def open(self, home: Home) -> None:
        """Read the identity and the contacts, and bind the port."""
        settings = self.settings
        identity = await offload(lambda: load_or_create(home, self.env.entropy))
        self.identity = KeyPair(identity.private, identity.public)
        if settings.kept_as is not None:
            await offload(partial(_check_free, self.contacts, settings.kept_as))
        await offload(self.contacts.all)  # a damaged file is told now, and not to two people later
        self.driver = Driver.open(settings.bind, settings.port, fallback_any=not settings.port_given)
        self.driver.asleep_s = self.env.clock.asleep()

    def now(self) -> float:
        """The loop's time and that which the machine has slept: a code is not longer good for it."""
        return asyncio.get_running_loop().time() + self.driver.asleep_s

    async def meet(self, side: Inviter | Joiner) -> PairingEnd:
        """Run the exchange, and keep the other side when it is met."""
        told: asyncio.Queue[PairingEvent] = asyncio.Queue()

        def wake() -> None:
            self.driver.asleep_s = self.env.clock.asleep()

        self.driver.start(side, told.put_nowait, answers=PAIRING_ANSWERS, on_wake=wake)
        met = False
        while True:
            try:
                event = await self.interrupts.unless_fired(told.get())
            except P2PCallError:
                if met:  # what was asked for is done
                    return PairingEnd.UNCONFIRMED
                raise
            if isinstance(event, PairingOver):
                return event.end
            await self._keep(event)
            met = True
            side.keep(self.now())
            self.driver.pump()

    async def _keep(self, event: Met) -> None:
        who, now = event.who, self.env.clock.time()
        trust = TrustStore(self.contacts, self.identity.public)
        contact = await to_the_end(
            partial(keep_paired, self.contacts, trust, who, self.settings.kept_as, now)
        )
        printed = fingerprint(who.public)
        self.ui.emit(events.Paired(contact.name, clean(who.name), printed, "verified"))
        if contact.blocked:
            hint = f"p2pcall contacts unblock {as_typed(contact.name)}"
            text = f"{contact.name} is blocked, and stays so: `{hint}`"
            self.ui.emit(events.Warning("blocked-key", text, contact.name, printed))


def keep_paired(
    contacts: Contacts, trust: TrustStore, who: Introduction, kept_as: str | None, epoch: float
) -> Contact:
    """Keep the other side as a verified contact. P2PCallError as the store raises it."""
    contact = trust.verify(kept_as or _free_name(contacts, who), who.public, epoch)
    if contact is None:
        raise P2PCallError(
            "not-kept",
            "another process has changed the contacts meanwhile",
            ExitCode.CONFIG,
            "p2pcall contacts list",
        )
    return contact


def _free_name(contacts: Contacts, who: Introduction) -> str:
    """The claimed name as it can be kept and dialled, with a number if another contact has it."""
    claimed, printed = names.kept(who.name), fingerprint(who.public)[:SHORT_FINGERPRINT]
    for number in range(1, MAX_NAMESAKES):
        suffix = f"-{number}" if number > 1 else ""
        name = names.shortened(claimed, NAME_BYTES - len(suffix)) + suffix
        other = contacts.by_name(name)
        if names.kept(name) != name or undialable(name) is not None:
            break
        if other is None or other.public == who.public:
            return name
    return printed


def _check_free(contacts: Contacts, name: str) -> None:
    other = contacts.by_name(name)
    if other is not None:
        text = f"there is another contact called {other.name!r}"
        raise P2PCallError("name-taken", text, ExitCode.USAGE, "p2pcall contacts list")


@asynccontextmanager
async def _opened(env: Env, settings: PairingSettings, home: Home, ui: Ui) -> AsyncIterator[_Side]:
    interrupts = Interrupts()
    interrupts.install()
    side = _Side(env, settings, home, ui, interrupts)
    try:
        await side.open(home)
        try:
            yield side
        finally:
            side.driver.close()
        if interrupts.crash is not None:
            raise interrupts.crash
    finally:
        interrupts.remove()


async def run_invite(env: Env, settings: PairingSettings, home: Home, ui: Ui, words: int) -> None:
    """Wait for one joiner. P2PCallError for every end but a contact."""
    from p2pcall.net.invites import InviteAnnouncer

    def unannounced(problem: P2PCallError) -> None:
        text = f"the invite is not announced on this network: {problem.text}; an address works"
        ui.emit(events.Warning("not-announced", text))

    async with _opened(env, settings, home, ui) as side:
        code, driver = make_code(env.entropy, words), side.driver
        inviter = Inviter(code, side.identity, settings.name, env.entropy, side.now())
        announcer = InviteAnnouncer(code.number, driver.port, env.entropy, driver.bound(), unannounced)
        announcer.start()
        hosts = [host for host in driver.addresses() if "%" not in host]
        uri = invite_uri(side.identity.public, code, [(host, driver.port) for host in hosts])
        until = round(env.clock.time() + INVITE_S, 3)
        ui.emit(events.Invited(code.text, uri, driver.port, tuple(hosts), until))
        try:
            end = await side.meet(inviter)
        finally:
            await announcer.stop()
        if end is PairingEnd.UNCONFIRMED:
            text = "the other side has not said that it has kept you; if it has not, invite again"
            ui.emit(events.Warning("unconfirmed", text))
        elif end is not PairingEnd.PAIRED:
            raise _failed_invite(end)


async def run_join(
    env: Env, settings: PairingSettings, home: Home, ui: Ui, invitation: Invitation, place: str | None
) -> None:
    """Join an invite, at `place` if one is given. P2PCallError for every end but a contact."""
    async with _opened(env, settings, home, ui) as side:
        addresses = await side.interrupts.unless_fired(_find(ui, settings, invitation, place))
        ui.progress(f"asking {' and '.join(format_address(address) for address in addresses)} ...")
        joiner = Joiner(
            invitation.code,
            side.identity,
            settings.name,
            addresses,
            env.entropy,
            side.now(),
            invitation.public,
        )
        end = await side.meet(joiner)
        if end is not PairingEnd.PAIRED:
            raise _failed_join(end, invitation.code.number)


async def _find(
    ui: Ui, settings: PairingSettings, invitation: Invitation, place: str | None
) -> Sequence[Address]:
    """Where to ask: at the place that was given, at the addresses of the URI, or who announces the number here."""
    if place is not None:
        target = parse_target(place)
        if target.who is not None:
            text = f"{place!r} is no address of an invite"
            raise P2PCallError("bad-target", text, ExitCode.USAGE, "an address is HOST or HOST:PORT")
        return await resolve(target)
    if invitation.addresses:
        return [
            address
            for host, port in invitation.addresses
            for address in await resolve(
                parse_target(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
            )
        ]
    from p2pcall.net.invites import find_invites

    number = invitation.code.number
    ui.progress(f"looking for invite {number} on this network ...")
    found = await find_invites(number, settings.bind)
    if len(found) > 1:
        text = f"{len(found)} invites on this network have the number {number}"
        hint = "ask for a new code, or give the address: p2pcall join CODE HOST:PORT"
        raise P2PCallError("two-invites", text, ExitCode.NOT_FOUND, hint)
    if not found:
        raise _no_invite(f"there is no invite {number} on this network")
    return found[0].addresses


def _no_invite(what: str) -> P2PCallError:
    text = f"{what}: it may be used, over, or elsewhere"
    hint = "from another network give the address: p2pcall join CODE HOST:PORT; else ask for a new code"
    return P2PCallError("no-such-invite", text, ExitCode.NOT_FOUND, hint)


_AGAIN: Final = "p2pcall invite makes a new code"


def _failed_invite(end: PairingEnd) -> P2PCallError:
    match end:
        case PairingEnd.EXPIRED:
            text = "nobody has joined in time; the code works no more"
            return P2PCallError("invite-expired", text, ExitCode.REFUSED, _AGAIN)
        case PairingEnd.WRONG_CODE:
            text = (
                "somebody has given a wrong code, so this one works no more: a slip, or somebody who guesses"
            )
            return P2PCallError("wrong-code", text, ExitCode.UNTRUSTED, _AGAIN)
        case PairingEnd.OWN_KEY:
            return own_key()
        case _:
            return _unusable()


def _failed_join(end: PairingEnd, number: int) -> P2PCallError:
    ask = "ask for a new code; do not type this one again"
    match end:
        case PairingEnd.NO_ANSWER:
            return _no_invite(f"no invite {number} answers there")
        case PairingEnd.REFUSED:
            text = "the code is not right, and works no more: there is one try"
            return P2PCallError("wrong-code", text, ExitCode.UNTRUSTED, ask)
        case PairingEnd.WRONG_CODE:
            text = (
                "what answers does not know the code: somebody else may pose as the one who has invited you"
            )
            return P2PCallError("wrong-code", text, ExitCode.UNTRUSTED, ask)
        case PairingEnd.OTHER_KEY:
            text = "what answers has another key than the invite says"
            return P2PCallError("other-key", text, ExitCode.UNTRUSTED, ask)
        case PairingEnd.LOST:
            text = "the other side has fallen silent, so this code works no more; it may have kept you"
            return P2PCallError("invite-lost", text, ExitCode.LOST, ask)
        case PairingEnd.OWN_KEY:
            return own_key()
        case _:
            return _unusable()


def _unusable() -> P2PCallError:
    text = "the other side knows the code, and has not proven the key that it gave"
    return P2PCallError("unproven-key", text, ExitCode.UNTRUSTED, _AGAIN)
