"""`dial`: find the other side, verify its identity, let it ring, talk.

If the key is known beforehand, it is checked before we show our own. Whom we call may be calling us: that becomes one
call (`rivals`). A typed name is kept as a contact, with the key that answered; a name that the other side claims is
kept only if a person says so after the call.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from p2pcall import events
from p2pcall.engine.key_pinning import ask_to_keep
from p2pcall.engine.locate import Location, locate
from p2pcall.engine.node import LocalSignal, PeerConnection
from p2pcall.engine.outcome import REFUSALS, Outcome
from p2pcall.engine.passcode_giver import PasscodeGiver
from p2pcall.engine.rivals import Rivals
from p2pcall.engine.talk import talk
from p2pcall.engine.trust import PeerIdentity, own_key
from p2pcall.engine.unreached import another_key, no_way, nothing_answers
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.factor.passcode import GIVE_TIMEOUT_S, CodeVerdict, PasscodeRequest, parse_request
from p2pcall.net.address import Target, format_address
from p2pcall.net.udp import leads_here
from p2pcall.proto.events import (
    Accepted,
    CallEnded,
    HandshakeDone,
    HandshakeFailed,
    Message,
    RemoteRinging,
)
from p2pcall.proto.handshake.noise import IKHFS
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.store.identity import fingerprint
from p2pcall.types import Address

if TYPE_CHECKING:
    from p2pcall.engine.devices import Devices

REFUSED_GRACE_S: Final = 2.0
"""How long to wait for a real answer after ICMP errors from all addresses, because anybody who knows both ports can
forge them. A cookie takes this long if three knocks are lost and the round trip is 0.5 s."""
AT_REST_S: Final = 0.05
"""The search for devices starts when the line is up, at the latest this long after the beginning, because it is slow.
Not sooner: loading libraries would delay a handshake on the same network, which takes 10 ms."""
FRESH_S: Final = 3.0
"""A line that was up for this long before it could ring is dialled again: the other side closes it after 5 s."""

Look = Callable[[], "Coroutine[Any, Any, Devices]"]


class Caller:
    """One outgoing call, from the target's name to the end."""

    def __init__(self, agent: UserAgent, look: Look, where: Target, target: str) -> None:
        """`look` finds the devices; they are closed by the call or at its end. `target` is `where` as typed."""
        self._agent, self._look, self._where, self._target = agent, look, where, target
        self._looking: asyncio.Task[Devices] | None = None
        self._devices: Devices | None = None
        self._up_at: float | None = None
        """When the current line came up; None: it is not up."""
        self._own_s = 0.0
        """How long a line waited for the devices."""
        self._untold: events.Dialling | None = None
        """Emitted when the devices are there: an error about them must come first, although a knock was sent."""
        self._node, self._settings = agent.node, agent.settings
        agent.history.outgoing = True
        self._loop = asyncio.get_running_loop()
        self._found = Location([], None, None)
        self._who: PeerIdentity | None = None
        self._codes = PasscodeGiver(agent)
        self._patience: asyncio.TimerHandle | None = None
        """Runs until nobody waits any longer for an answer."""
        self._rivals = Rivals(agent.node, agent.identity.public, self._settle_rivals)
        self._refused: dict[Address, int] = {}
        self._line: PeerConnection | None = None
        self._doubted: PeerConnection | None = None
        """The line for which the ICMP errors were complete; the wait for a real answer starts only once."""

    async def run(self) -> Outcome:
        """The whole call. P2PCallError if it failed before a person or a rule answered."""
        later = self._loop.call_later(AT_REST_S, self._prepare)
        try:
            return await self._call()
        except P2PCallError as error:
            if error.exit is ExitCode.NOT_FOUND:
                await self._own_faults_first()
            if self._found.addresses and error.exit in (ExitCode.NOT_FOUND, ExitCode.UNTRUSTED):
                self._agent.history.failed(self._target, self._dialled_key(), error.slug)
            raise
        finally:
            later.cancel()
            self._let_go()

    async def _own_faults_first(self) -> None:
        """Nobody was found. P2PCallError if this side has an error too, because that one is reported first."""
        self._prepare()
        assert self._looking is not None
        await self._agent.unless_interrupted(self._looking)

    async def _call(self) -> Outcome:
        agent = self._agent
        self._found = await agent.unless_interrupted(locate(agent, self._where))
        self._leave_out_oneself()
        self._leave_out_families()
        expected = self._found.expected_key
        self._rivals.let_in(list(agent.trust.let_in()) if expected is None else [expected])
        self._node.on_unreachable = self._unreachable
        started_at = self._node.now()
        line = self._dial()
        self._untold = events.Dialling(self._target, format_address(self._found.addresses[0]))
        agent.interrupts.tell(lambda what: self._tell("interrupted" if what == "signal" else what))
        self._wait_for(self._settings.ring_timeout_s)
        try:
            answered = await self._until_answered(line)
        finally:
            self._tell_dialling()
            self._wait_for(None)
            agent.interrupts.take = None
            await self._codes.close()
            self._rivals.forget()
            self._line = None
        if isinstance(answered, Outcome):
            if self._who is not None:
                who = self._who
                answered = replace(answered, name=who.name, fingerprint=who.fingerprint, known=who.known)
            agent.tell_end(answered, self._target, self._dialled_key())
            return answered
        line, remote_video = answered
        assert self._who is not None
        assert self._devices is not None
        setup_ms = (self._node.now() - started_at - self._own_s) * 1000
        if self._found.name is not None:
            await agent.pin(self._who.name, line.peer.remote_static, host=self._found.host)
        outcome = await talk(
            agent,
            line,
            self._devices,
            self._who,
            video=not self._settings.sound_only,
            remote_video=remote_video,
            setup_ms=setup_ms,
        )
        await ask_to_keep(agent, self._who, line.peer.remote_static, outcome)
        return outcome

    def _dialled_key(self) -> str:
        """The fingerprint of the key that was dialled; "" if it is not known."""
        expected = self._found.expected_key
        return "" if expected is None else fingerprint(expected)

    def _known(self) -> list[bytes]:
        """The keys to try if no key is expected: those of all contacts."""
        return self._agent.trust.permissions.callees()

    def _dial(self) -> PeerConnection:
        """Start to knock. If the devices were ready before, signal that to the new line."""
        expected = self._found.expected_key
        known = self._known() if expected is None else []
        line = self._line = self._node.dial(self._found.addresses, expected, known)
        if self._looking is not None and self._looking.done():
            line.tell("ready")
        return line

    def _is_stranger_there(self, line: PeerConnection) -> bool:
        """Whether a contact who is still to be told of our new key has been shown it, as any stranger is."""
        key, shown = line.peer.remote_static, line.peer.local_static
        new = shown is not None and shown.public == self._agent.present_static.public
        return new and self._agent.is_untold(key) and IKHFS.name not in line.peer.protocol_name

    def _dial_as_former(self, line: PeerConnection) -> PeerConnection:
        """Dial again, as the one whom they know; the first line has not rung."""
        self._found = replace(self._found, expected_key=line.peer.remote_static)
        line.drop()
        return self._dial()

    def _tell(self, what: str) -> None:
        if self._line is not None:
            self._line.tell(what)

    def _prepare(self) -> None:
        """Look for the devices, once."""
        if self._looking is None:
            self._looking = self._loop.create_task(self._look())
            self._looking.add_done_callback(self._looked)

    def _looked(self, looking: "asyncio.Task[Devices]") -> None:
        if not looking.cancelled():
            looking.exception()  # the code that handles "ready" raises it, if it still matters
            self._tell("ready")

    def _ready(self, line: PeerConnection) -> PeerConnection:
        """Invite on this line, or dial again if the line has waited too long. P2PCallError if a device is missing."""
        assert self._looking is not None
        try:
            self._devices = self._looking.result()
        except P2PCallError:
            self._untold = None
            line.hang_up(Reason.HUNG_UP)
            raise
        self._tell_dialling()
        self._settle_refused()
        if self._up_at is None:
            return line
        waited_s = self._node.now() - self._up_at
        self._own_s += waited_s
        if waited_s > FRESH_S:
            self._up_at = None
            line.drop()
            return self._dial()
        self._invite(line)
        return line

    def _tell_dialling(self) -> None:
        event, self._untold = self._untold, None
        if event is not None:
            self._agent.ui.emit(event)

    def _let_go(self) -> None:
        """Close the devices; a search that is still running is left to end by itself."""
        if self._looking is not None and not self._looking.cancel() and self._looking.exception() is None:
            self._looking.result().close()

    def _leave_out_oneself(self) -> None:
        """Leave out addresses of our own port: that would be a call to ourselves. P2PCallError if none is left."""
        driver, found = self._node.driver, self._found
        others = [one for one in found.addresses if not leads_here(one, driver.port, driver.bound())]
        if not others:
            text = "that is this machine; nobody listens here"
            raise P2PCallError("own-machine", text, ExitCode.NOT_FOUND, "p2pcall listen, in another terminal")
        self._found = replace(found, addresses=others)

    def _leave_out_families(self) -> None:
        """Leave out addresses of a family without a bound socket. P2PCallError if none is left."""
        found = self._found
        lengths = {4 if ":" in host else 2 for host in self._node.driver.bound()}
        others = [one for one in found.addresses if len(one) in lengths]
        if not others:
            wanted = "IPv4" if len(found.addresses[0]) == 2 else "IPv6"
            where = format_address(found.addresses[0])
            what, why = f"{where} is an {wanted} address, and", f"there is no {wanted} on this machine"
            raise no_way(self._settings.bind, what, why)
        self._found = replace(found, addresses=others)

    async def _until_answered(self, line: PeerConnection) -> tuple[PeerConnection, bool] | Outcome:
        while True:
            signal = await line.signals.get()
            match signal:
                case HandshakeFailed(reason="key-changed"):
                    raise another_key(self._found, signal.remote_static)
                case HandshakeFailed() | LocalSignal("refused"):
                    raise self._given_up(line)
                case HandshakeDone():
                    if self._agent.is_own(line.peer.remote_static):
                        line.drop()
                        raise own_key()
                    if self._is_stranger_there(line):
                        line = self._dial_as_former(line)
                        continue
                    self._rivals.only_of(line)
                    self._up_at = self._node.now()
                    self._prepare()
                    self._invite(line)
                case LocalSignal("ready"):
                    line = self._ready(line)
                case CallEnded(reason=Reason.LOST) if self._devices is None:
                    pass  # it has waited too long, and is dialled again
                case Message(kind=ControlType.PASSCODE_REQUEST, body=body) if self._devices is not None:
                    reason = self._asked_for_code(line, parse_request(body))
                    if reason is not None:
                        line.hang_up(Reason.HUNG_UP)
                        return Outcome(reason, line.peer.call_id)
                case LocalSignal("code-failed"):
                    line.hang_up(Reason.HUNG_UP)
                    assert self._codes.error is not None
                    raise self._codes.error
                case RemoteRinging() if self._devices is not None:
                    self._devices.speaker.prepare()
                    self._identify(line, signal.name)
                    self._agent.ui.emit(events.Ringing(line.peer.call_id))
                case Accepted():
                    self._identify(line, signal.name)
                    return line, signal.video
                case CallEnded():
                    return self._refused_by(line, signal)
                case LocalSignal("glare"):
                    return self._take_rival(line)
                case LocalSignal("no-answer") if not line.peer.established:
                    raise self._given_up(line)
                case LocalSignal(what):
                    line.hang_up(Reason.NO_ANSWER if what == "no-answer" else Reason.HUNG_UP)
                    return Outcome(what, line.peer.call_id if line.peer.established else None)
                case _:
                    pass

    def _wait_for(self, seconds: float | None) -> None:
        """Give up after so long from now; None: do not."""
        if self._patience is not None:
            self._patience.cancel()
        later = self._loop.call_later
        self._patience = None if seconds is None else later(seconds, self._tell, "no-answer")

    def _asked_for_code(self, line: PeerConnection, request: PasscodeRequest | None) -> str | None:
        """The other side wants a code: it does not ring meanwhile. Returns why the call ends; None: it goes on."""
        if request is None or not self._codes.expects(request):
            return None
        self._identify(line, "")
        assert self._who is not None
        right = request.verdict is CodeVerdict.RIGHT
        self._wait_for(self._settings.ring_timeout_s + (0 if right else GIVE_TIMEOUT_S))
        return self._codes.take(line, self._who, request)

    def _refused_by(self, line: PeerConnection, end: CallEnded) -> Outcome:
        """The outcome of a line that ended before an answer. P2PCallError if nobody was there."""
        if end.reason is Reason.BROKEN_PROMISE:
            return Outcome(end.reason.slug, line.peer.call_id)
        if not end.remote:  # silence: nobody is there, or somebody does not want to answer
            if self._who is None:
                raise self._nothing_answers()
            return Outcome("no-answer", line.peer.call_id)
        reason = end.reason.slug
        return Outcome(reason if reason in REFUSALS else "declined", line.peer.call_id)

    def _films(self, devices: "Devices") -> bool:
        """Whether the call begins with a picture of ours."""
        return devices.sends_video and not self._settings.sound_only

    def _invite(self, line: PeerConnection) -> None:
        """Invite, if the devices are there: without them nobody is rung."""
        devices = self._devices
        if devices is not None:
            line.invite(self._settings.name, devices.sends_audio, self._films(devices))
            self._settle_rivals()

    def _identify(self, line: PeerConnection, claimed: str) -> None:
        trust, key = self._agent.trust, line.peer.remote_static
        try:
            self._who = trust.identify(key, self._found.name or claimed)
        except P2PCallError:
            line.hang_up(Reason.HUNG_UP)  # the other side does not learn the reason
            raise

    def _unreachable(self, address: Address, errno: int) -> None:
        self._refused[address] = errno
        self._settle_refused()

    def _settle_refused(self) -> None:
        """Start the wait before giving up, but not before our devices are ready: the other side may be starting too."""
        line, ready = self._line, self._devices is not None
        everywhere = self._refused.keys() >= set(self._found.addresses)
        if line is None or line is self._doubted:
            return
        if ready and everywhere and not line.peer.established:
            self._doubted = line
            self._loop.call_later(REFUSED_GRACE_S, self._give_up, line)

    def _give_up(self, line: PeerConnection) -> None:
        if not line.peer.answered:  # else somebody is there, in spite of the ICMP errors
            line.tell("refused")

    def _given_up(self, line: PeerConnection) -> P2PCallError:
        """Nobody answered in time: stop knocking, and give the error."""
        line.drop()
        return self._nothing_answers()

    def _nothing_answers(self) -> P2PCallError:
        return nothing_answers(self._found.addresses, self._refused, self._settings.bind)

    def _settle_rivals(self) -> None:
        """Look at who calls us, once our line is up and the devices are there."""
        if self._line is not None and self._line.peer.established and self._devices is not None:
            self._rivals.settle(self._line)

    def _take_rival(self, line: PeerConnection) -> tuple[PeerConnection, bool]:
        assert self._devices is not None
        rival, incoming = self._rivals.take()
        self._identify(rival, incoming.name)
        line.drop()
        rival.accept(self._settings.name, self._devices.sends_audio, self._films(self._devices))
        return rival, incoming.video
