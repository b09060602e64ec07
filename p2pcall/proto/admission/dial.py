"""A dial up to its first good response: which datagram goes to which address, and when. Sans-IO.

Every address gets a knock. The cookie that comes back allows an initiation to that address. Knock and initiation
are both repeated, because a cookie may be stale; a later cookie replaces the earlier one. The initiation is the same
for every address, so a responder that is reached at two addresses answers once. Only a few addresses get initiations.

A *way* is a pattern and a key. With an expected key the first way is IKhfs with that key. If no answer comes soon,
XXhfs is tried as well: the responder may not have us as a contact, or another person may be at the address. Such a
person learns nothing about us. Without an expected key the first way is XXhfs. If no answer comes soon, IKhfs is
tried with the keys in `known`, because a responder that lets only contacts knock does not answer XXhfs. A line begins
at an address whose cookie came back: that address is proven.
"""

from collections.abc import Callable, Collection, Iterable

from msgspec import Struct, field

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.handshake.exchange import Established, Initiator, KeyChanged, Local, StaticKey
from p2pcall.proto.handshake.noise import NoiseError
from p2pcall.proto.wire import DropReason, PatternId, Suites
from p2pcall.types import Address


class _Way(Struct):
    """One pattern and key, with one initiation for each cipher suite that a cookie has chosen."""

    pattern: PatternId
    key: bytes | None
    mac: cookie.Mac | None
    """With the pair's key, if there is one."""
    static: StaticKey
    """Our own key."""
    hint: bytes = b""
    """Fixed at the first knock: a change during the dial would reveal our clock."""
    initiators: dict[Suites, Initiator] = field(default_factory=dict)


class _Attempt(Struct):
    """One way at one address: it knocks until a cookie comes, then it sends the initiation."""

    address: Address
    way: _Way
    token: bytes
    resend: Backoff
    cookie: wire.Cookie | None = None
    since: float = 0.0


class Dial:
    """One dial. `take_due` gives outgoing datagrams; `receive_cookie` and `receive_response` take incoming ones.

    `wrong_key` is the first unexpected key that was proven.
    """

    def __init__(
        self,
        local: Local,
        index: int,
        offered: Suites,
        addresses: Iterable[Address],
        now: float,
        timestamp: Callable[[float], int],
        expected_static: bytes | None = None,
        known: Collection[bytes] = (),
    ) -> None:
        self.deadline = now + c.HANDSHAKE_TIMEOUT_S
        self.wrong_key: bytes | None = None
        self._local = local
        self._index = index
        self._offered = offered
        self._timestamp = timestamp
        self._expected = expected_static
        stranger = _Way(PatternId.XXHFS, None, None, local.towards(expected_static)[0])
        if expected_static is None:
            self._ways = [stranger, *self._known_ways(known)[: c.MAX_KNOWN_TRIED]]
        else:
            likeliest, *others = self._known_ways([expected_static])
            self._ways = [likeliest, stranger, *others]
        targets = list(dict.fromkeys(addresses))[: c.MAX_CANDIDATES]
        self._attempts = {
            attempt.token: attempt
            for place, way in enumerate(self._ways)
            for attempt in self._attempts_by(way, targets, now + (c.SECOND_WAY_S if place else 0.0))
        }

    def take_due(self, now: float) -> list[tuple[bytes, Address]]:
        """The datagrams that leave now, each with its destination."""
        due = []
        for attempt in self._attempts.values():
            if not attempt.resend.take(now):
                continue
            if attempt.cookie is not None:
                whole = attempt.way.initiators[attempt.cookie.chosen].initiation
                parts = wire.pack_parts(whole, self._offered, self._index, attempt.cookie.cookie)
                due += [(part, attempt.address) for part in parts]
            if attempt.cookie is None or attempt.resend.sent > 1:
                due.append((self._knock(attempt, now), attempt.address))
        return due

    def receive_cookie(self, answer: wire.Cookie, now: float) -> DropReason | None:
        """Take a cookie: the first one for an address starts the initiation there, unless too many have started."""
        attempt = self._attempts.get(answer.token)
        if attempt is None:
            return DropReason.TOKEN
        if answer.chosen not in self._offered:
            return DropReason.SUITE
        if attempt.cookie is None and not self._make_room(attempt.address, now):
            return DropReason.FULL
        try:
            self._prepare(attempt.way, answer.chosen)
        except NoiseError:
            return DropReason.HANDSHAKE
        if attempt.cookie is None:
            attempt.since = now
            attempt.resend = Backoff(now, c.OPENING_INTERVALS_S)
        attempt.cookie = answer
        if (
            attempt.way.key is None and self._expected is None
        ):  # strangers get answers here: the known keys need not be tried
            self._attempts = {token: one for token, one in self._attempts.items() if one.way.key is None}
        return None

    def receive_response(
        self, response: wire.Response, address: Address, now: float
    ) -> tuple[Established, Address] | DropReason:
        """Check a response with our index; give its line's first address too. After a refusal another may follow."""
        for way in self._ways:
            for initiator in way.initiators.values() if way.pattern is response.pattern else ():
                outcome = initiator.read_response(response.noise)
                if isinstance(outcome, KeyChanged):
                    self._mistrust(outcome.remote_static, now)
                    return DropReason.KEY
                if isinstance(outcome, Established):
                    return outcome, self._proven(way, address)
        return DropReason.HANDSHAKE

    @property
    def answered(self) -> bool:
        """Whether a cookie has come: then somebody has received a knock of ours."""
        return any(attempt.cookie is not None for attempt in self._attempts.values())

    def next_timer(self) -> float:
        """The next datagram or the end of the attempt."""
        return min(self.deadline, min(attempt.resend.due for attempt in self._attempts.values()))

    def _proven(self, way: _Way, address: Address) -> Address:
        """`address` if a cookie came back for it, else one for which one did: the initiation has arrived there."""
        attempts = [attempt for attempt in self._attempts.values() if attempt.cookie is not None]
        proven = [attempt.address for attempt in attempts if attempt.way is way]
        proven += [
            attempt.address for attempt in attempts
        ]  # other ways, if this way's attempts have been replaced
        return address if address in proven else proven[0]

    def _known_ways(self, keys: Iterable[bytes]) -> list[_Way]:
        """Each key, with each of our own that its owner may know us by."""
        return [self._known_way(key, static) for key in keys for static in self._local.towards(key)]

    def _known_way(self, key: bytes, static: StaticKey) -> _Way:
        try:
            mac = cookie.Mac(cookie.pair_key(static, key, initiator=True))
        except NoiseError:
            mac = None
        return _Way(PatternId.IKHFS, key, mac, static)

    def _attempts_by(self, way: _Way, targets: Iterable[Address], start: float) -> Iterable[_Attempt]:
        for place, address in enumerate(targets):
            resend = Backoff(start + place * c.CANDIDATE_STAGGER_S, c.OPENING_INTERVALS_S)
            yield _Attempt(address, way, self._local.entropy(c.TOKEN_BYTES), resend)

    def _knock(self, attempt: _Attempt, now: float) -> bytes:
        way = attempt.way
        if way.mac is None:
            nonce, hidden = self._local.entropy(c.KNOCK_NONCE_BYTES), self._local.entropy(c.KNOCK_TIME_BYTES)
        else:
            time = self._timestamp(now)
            if not way.hint:
                way.hint = cookie.hints(way.mac, cookie.epoch_of(time))[self._index % c.HINTS_PER_EPOCH]
            nonce = way.hint + self._local.entropy(c.KNOCK_NONCE_BYTES - c.KNOCK_HINT_BYTES)
            hidden = cookie.hide_time(way.mac, nonce, time.to_bytes(c.KNOCK_TIME_BYTES, "big"))
        knock = wire.pack_knock(way.pattern, self._offered, self._index, attempt.token, nonce, hidden)
        return knock + (self._local.entropy(c.MAC_BYTES) if way.mac is None else way.mac(knock))

    def _prepare(self, way: _Way, chosen: Suites) -> None:
        if chosen not in way.initiators:
            way.initiators[chosen] = Initiator(
                self._local,
                self._index,
                way.pattern,
                self._offered,
                chosen,
                self._expected if way.key is None else way.key,
                way.static,
            )

    def _make_room(self, address: Address, now: float) -> bool:
        """Whether an initiation may go to this address; the oldest one without an answer is dropped for it."""
        begun = {
            attempt.address: attempt.since
            for attempt in self._attempts.values()
            if attempt.cookie is not None
        }
        if address in begun or len(begun) < c.MAX_INITIATIONS:
            return True
        oldest = min(begun, key=begun.__getitem__)
        if now < begun[oldest] + c.KEY_GRACE_S:
            return False
        for attempt in self._attempts.values():
            if attempt.address == oldest:
                attempt.cookie = None
        return True

    def _mistrust(self, key: bytes, now: float) -> None:
        """A responder has proven an unexpected key: the expected one has only KEY_GRACE_S left to answer."""
        if self.wrong_key is None:
            self.wrong_key = key
            self.deadline = min(self.deadline, now + c.KEY_GRACE_S)
