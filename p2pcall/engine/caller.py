"""`dial`: find the other side, prove who it is, let it ring, talk.

The key is checked before our own is shown wherever it is known beforehand. Both dialling each other at once is one
call: the one that the lower static key dialled goes on, the other is dropped without a word.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from p2pcall import events
from p2pcall.engine.devices import Devices
from p2pcall.engine.node import Line, Told
from p2pcall.engine.outcome import REFUSALS, Outcome
from p2pcall.engine.people import Who
from p2pcall.engine.station import Station
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import Address, Target, format_address, resolve
from p2pcall.net.discovery import LanPeer, find
from p2pcall.net.udp import leads_here
from p2pcall.proto.calling import glare_winner
from p2pcall.proto.happenings import Accepted, Ended, HandshakeDone, HandshakeFailed, Incoming, RemoteRinging
from p2pcall.proto.messages import Reason
from p2pcall.store.contacts import key_changed

FIND_TIMEOUT_S = 2.0
"""How long a name is looked for on the LAN before it is taken for a host name; mDNS answers within 0.12 s."""
FIND_GRACE_S = 0.5
"""How much longer the LAN is asked when the system has an address already."""
REFUSED_GRACE_S = 1.0
"""After the system said that nothing listens there, so long for a real answer: such messages can be forged."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a target is, and what is known of it beforehand."""

    addresses: list[Address]
    expected_key: bytes | None
    name: str | None
    """The user's own name for it, under which the key is kept; None for a bare address, which names nobody."""


async def locate(station: Station, target: Target) -> Found:
    """Addresses for a target: a contact or a name on the LAN first, then the system's resolver."""
    if target.kind == "literal":
        return Found(await resolve(target), None, None)
    expected = station.people.expected_key(target.host)
    resolving = asyncio.ensure_future(resolve(target))
    try:
        if _may_be_on_lan(target):
            service = await _seen(target.host, station.settings.bind, resolving)
            if service is not None:
                return Found(list(service.addresses), expected, target.host)
        return Found(await resolving, expected, target.host)
    except P2PCallError as error:
        raise P2PCallError(
            "no-such-peer",
            f"{target.host!r} is neither on this network nor a host that can be found",
            ExitCode.NOT_FOUND,
            "p2pcall peers, to see who is there",
        ) from error
    finally:
        resolving.cancel()  # or, if it has failed, nobody asks any more why


async def _seen(
    name: str, bound: Sequence[str], resolving: "asyncio.Future[list[Address]]"
) -> LanPeer | None:
    """Who answers to the name on the LAN. Once the system knows a host of that name, a shorter wait will do."""
    finding = asyncio.ensure_future(find(name, FIND_TIMEOUT_S, bound))
    try:
        both: set[asyncio.Future[Any]] = {finding, resolving}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not finding.done() and resolving.exception() is None:
            await asyncio.wait({finding}, timeout=FIND_GRACE_S)
        elif not finding.done():
            await asyncio.wait({finding})
        return finding.result() if finding.done() else None
    except P2PCallError:
        return None  # no network, or no mDNS here: a host name may still be known
    finally:
        finding.cancel()


def _may_be_on_lan(target: Target) -> bool:
    return not target.explicit_port and "." not in target.host and target.host != "localhost"


class Caller:
    """One outgoing call, from the target's name to the end."""

    def __init__(self, station: Station, devices: Devices, where: Target, target: str) -> None:
        """`target` is `where` as it was typed."""
        self._station, self._devices, self._where, self._target = station, devices, where, target
        self._node, self._settings = station.node, station.settings
        self._loop = asyncio.get_running_loop()
        self._found = Found([], None, None)
        self._who: Who | None = None
        self._rivals: list[tuple[Line, Incoming]] = []
        self._refused: set[Address] = set()
        self._line: Line | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Outcome:
        """The whole call. P2PCallError when it never got as far as an answer by a person."""
        station = self._station
        self._found = await station.unless_interrupted(locate(station, self._where))
        self._leave_out_oneself()
        expected = self._found.expected_key
        known = station.people.keys() if expected is None else []
        self._let_rivals_in(expected)
        self._node.on_unreachable = self._unreachable
        started_at = self._node.now()
        line = self._line = self._node.dial(self._found.addresses, expected, known)
        station.ui.emit(events.Dialling(self._target, format_address(self._found.addresses[0])))
        station.interrupts.take = lambda what: line.tell("interrupted" if what == "signal" else what)
        ring_timer = self._loop.call_later(self._settings.ring_timeout_s, line.tell, "no-answer")
        try:
            answered = await self._until_answered(line)
        finally:
            ring_timer.cancel()
            station.interrupts.take = None
            self._forget_rivals()
        if isinstance(answered, Outcome):
            if self._who is not None:
                answered = replace(answered, name=self._who.name, fingerprint=self._who.fingerprint)
            station.tell_end(answered)
            return answered
        line, remote_video = answered
        assert self._who is not None
        setup_ms = (self._node.now() - started_at) * 1000
        station.pin(self._who.name, line.peer.remote_static)
        return await station.talk(
            line, self._devices, self._who, video=True, remote_video=remote_video, setup_ms=setup_ms
        )

    def _leave_out_oneself(self) -> None:
        """One's own port would answer, and it would be a call to oneself. P2PCallError if nothing else is left."""
        driver, found = self._node.driver, self._found
        others = [one for one in found.addresses if not leads_here(one, driver.port, driver.bound())]
        if not others:
            text = "that is this machine; nobody listens here"
            raise P2PCallError("own-machine", text, ExitCode.NOT_FOUND, "p2pcall listen, in another terminal")
        self._found = replace(found, addresses=others)

    async def _until_answered(self, line: Line) -> tuple[Line, bool] | Outcome:
        while True:
            signal = await line.signals.get()
            match signal:
                case HandshakeFailed(reason="key-changed"):
                    raise key_changed(self._found.name or self._target)
                case HandshakeFailed():
                    raise self._nothing_answers()
                case HandshakeDone():
                    self._invite(line)
                    self._settle_rivals(line)
                case RemoteRinging():
                    self._devices.speaker.prepare()
                    self._identify(line, signal.name)
                    self._station.ui.emit(events.Ringing(line.peer.call_id))
                case Accepted():
                    self._identify(line, signal.name)
                    return line, signal.video
                case Ended():
                    return self._refused_by(line, signal)
                case Told("glare"):
                    return self._take_rival(line)
                case Told("refused"):
                    raise self._nothing_answers()
                case Told("no-answer") if not line.peer.established:
                    raise self._nothing_answers()
                case Told(what):
                    line.hang_up(Reason.NO_ANSWER if what == "no-answer" else Reason.HUNG_UP)
                    return Outcome(what, line.peer.call_id if line.peer.established else None)
                case _:
                    pass

    def _refused_by(self, line: Line, end: Ended) -> Outcome:
        """The line ended before an answer: what is that to us?"""
        if end.remote and end.reason is Reason.KEY_CHANGED:
            raise self._we_are_not_trusted()
        if not end.remote:  # silence: nobody there, or nobody who wants to be there
            if self._who is None:
                raise self._nothing_answers()
            return Outcome("no-answer", line.peer.call_id)
        reason = end.reason.slug
        return Outcome(reason if reason in REFUSALS else "declined", line.peer.call_id)

    def _invite(self, line: Line) -> None:
        devices = self._devices
        line.peer.invite(self._settings.name, devices.sends_audio, devices.sends_video, self._node.now())
        self._node.pump()

    def _identify(self, line: Line, claimed: str) -> None:
        try:
            self._who = self._station.people.identify(line.peer.remote_static, self._found.name or claimed)
        except P2PCallError:
            line.hang_up(Reason.KEY_CHANGED)
            raise

    # --- nobody there ------------------------------------------------------------------------------------------

    def _unreachable(self, address: Address, errno: int) -> None:
        self._refused.add(address)
        line = self._line
        if line is not None and not line.peer.established and self._refused >= set(self._found.addresses):
            self._loop.call_later(REFUSED_GRACE_S, self._give_up, line)

    def _give_up(self, line: Line) -> None:
        if not line.peer.established:
            line.tell("refused")

    def _nothing_answers(self) -> P2PCallError:
        where = ", ".join(format_address(address) for address in self._found.addresses)
        return P2PCallError(
            "unreachable",
            f"nothing answers at {where}",
            ExitCode.NOT_FOUND,
            "is `p2pcall listen` running there, open to you, and does its firewall let UDP through?",
        )

    def _we_are_not_trusted(self) -> P2PCallError:
        return P2PCallError(
            "key-changed",
            "the other side knows another key under your name, and refused",
            ExitCode.UNTRUSTED,
            "the other side can remove the old one with `p2pcall contacts remove`",
        )

    # --- both dial at once -------------------------------------------------------------------------------------

    def _let_rivals_in(self, expected: bytes | None) -> None:
        """The one who is called may be calling us: to all others the port is silent, if it is known who that is."""
        endpoint = self._node.endpoint
        if expected is not None:
            endpoint.contacts([expected])
            endpoint.reach = "contacts"
        endpoint.accepting = True
        self._node.on_caller = self._rival

    def _rival(self, line: Line) -> None:
        task = asyncio.ensure_future(self._hear_rival(line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hear_rival(self, rival: Line) -> None:
        signal = await rival.signals.get()
        while not isinstance(signal, Incoming | Ended):
            signal = await rival.signals.get()
        if self._line is not None and isinstance(signal, Incoming):
            self._rivals.append((rival, signal))
            self._settle_rivals(self._line)

    def _settle_rivals(self, line: Line) -> None:
        if not line.peer.established:
            return
        ours = self._station.identity.public
        for rival, _ in list(self._rivals):
            same = rival.peer.remote_static == line.peer.remote_static
            if same and glare_winner(ours, rival.peer.remote_static) == "theirs":
                line.tell("glare")
                return
            self._rivals = [entry for entry in self._rivals if entry[0] is not rival]
            rival.drop()

    def _forget_rivals(self) -> None:
        """Nobody else is heard once it is decided which line is the call."""
        self._node.endpoint.accepting = False
        self._node.on_caller = None
        for task in self._tasks:
            task.cancel()
        for rival, _ in self._rivals:
            rival.drop()
        self._rivals.clear()
        self._line = None

    def _take_rival(self, line: Line) -> tuple[Line, bool]:
        rival, incoming = self._rivals.pop(0)
        self._identify(rival, incoming.name)
        line.drop()
        rival.accept(self._settings.name, self._devices.sends_audio, self._devices.sends_video)
        return rival, incoming.video
