"""A dial up to its first good response: to whom what goes and when, sans-IO.

Each address is knocked at. The cookie that comes back is good for an initiation there, which is repeated, and so
is the knock, for a cookie may be stale; one that comes later replaces the earlier one. The initiation is the same
at every address, so whoever is reached by two of them answers once. Only a few addresses get initiations.

A *way* is a pattern and a key. With an expected key the way is IKhfs under that key; if that leads nowhere soon,
XXhfs is tried as well, for whoever does not have us among the contacts, and to learn whether somebody else sits
there, who is shown nothing of ours. Without one the way is XXhfs; if nobody answers to that soon, IKhfs is tried
under the keys of those in `known`, for whoever lets only contacts knock is silent to all else. A line begins at the
address whose cookie came back: that one is proven.
"""

from collections.abc import Callable, Collection, Iterable

from msgspec import Struct, field

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.handshake.exchange import Established, Initiator, KeyChanged, Local
from p2pcall.proto.handshake.noise import NoiseError
from p2pcall.proto.wire import DropReason, PatternId, Suites
from p2pcall.types import Address


class _Way(Struct):
    """One pattern and key, with the initiation for each choice of suite that a cookie brought."""

    pattern: PatternId
    key: bytes | None
    mac: cookie.Mac | None
    """Under the key of the pair, if there is one."""
    hint: bytes = b""
    """From the first knock on: one that changed within a dial would tell what o'clock it is here."""
    initiators: dict[Suites, Initiator] = field(default_factory=dict)


class _Attempt(Struct):
    """One way at one address: a knock until there is a cookie, then the initiation."""

    address: Address
    way: _Way
    token: bytes
    resend: Backoff
    cookie: wire.Cookie | None = None
    since: float = 0.0


class Dial:
    """One dial. `take_due` gives what leaves; `receive_cookie` and `receive_response` take what comes.

    `wrong_key` is the first unexpected one that was proven.
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
        stranger = _Way(PatternId.XXHFS, None, None)
        if expected_static is None:
            self._ways = [stranger, *map(self._known_way, list(known)[: c.MAX_KNOWN_TRIED])]
        else:
            self._ways = [self._known_way(expected_static), stranger]
        targets = list(dict.fromkeys(addresses))[: c.MAX_CANDIDATES]
        self._attempts = {
            attempt.token: attempt
            for place, way in enumerate(self._ways)
            for attempt in self._attempts_by(way, targets, now + (c.SECOND_WAY_S if place else 0.0))
        }

    def take_due(self, now: float) -> list[tuple[bytes, Address]]:
        """The datagrams that leave now, and where to."""
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
        """Take a cookie: the first one for an address starts the initiation there, if few have begun."""
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
        ):  # strangers are answered: no others need to be tried
            self._attempts = {token: one for token, one in self._attempts.items() if one.way.key is None}
        return None

    def receive_response(
        self, response: wire.Response, address: Address, now: float
    ) -> tuple[Established, Address] | DropReason:
        """Judge a response that bears our index, and where its line begins; after a refusal another one may follow."""
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
        """Whether a cookie has come: somebody is there who has seen a knock of ours."""
        return any(attempt.cookie is not None for attempt in self._attempts.values())

    def next_timer(self) -> float:
        """The next datagram or the end of the attempt."""
        return min(self.deadline, min(attempt.resend.due for attempt in self._attempts.values()))

    def _proven(self, way: _Way, address: Address) -> Address:
        """This address if a cookie came for it, else one for which one came: the initiation has arrived there."""
        attempts = [attempt for attempt in self._attempts.values() if attempt.cookie is not None]
        proven = [attempt.address for attempt in attempts if attempt.way is way]
        proven += [attempt.address for attempt in attempts]  # of another way, if that one's have made way
        return address if address in proven else proven[0]

    def _known_way(self, key: bytes) -> _Way:
        try:
            mac = cookie.Mac(cookie.pair_key(self._local.static, key, initiator=True))
        except NoiseError:
            mac = None
        return _Way(PatternId.IKHFS, key, mac)

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
            )

    def _make_room(self, address: Address, now: float) -> bool:
        """Whether an initiation may go to this address; one that has gone unanswered for long makes way."""
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
        """Somebody answered with an unexpected key: the right one has little time left to show."""
        if self.wrong_key is None:
            self.wrong_key = key
            self.deadline = min(self.deadline, now + c.KEY_GRACE_S)
