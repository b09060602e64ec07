"""The joiner's side: it looks for the invite at some addresses, and proves to the first that answers that it knows the
code.

Rules: it gives one proof, to one address. So somebody who poses as the inviter has one guess for each time that a
person types the code, and then the code is not to be typed again. What has got no answer is repeated each RESEND_S, the
query to all addresses. It is an endpoint with the five methods (`net.pump`).
"""

from collections import deque
from collections.abc import Sequence

from p2pcall.pairing.code import Code
from p2pcall.pairing.constants import (
    DONE_COPIES,
    PAIRING_TOKEN_BYTES,
    PROOF_TIMEOUT_S,
    QUERY_TIMEOUT_S,
    RESEND_S,
)
from p2pcall.pairing.datagrams import Done, Offer, Proof, Query, Refusal, Result, parse_pairing
from p2pcall.pairing.key_exchange import KeyExchange, PairingKeys
from p2pcall.pairing.outcome import Met, PairingEnd, PairingEvent, PairingOver
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.types import Address, Entropy


class Joiner:
    """One try to join. `expected` is the inviter's key, if it is known beforehand."""

    def __init__(
        self,
        code: Code,
        identity: KeyPair,
        name: str,
        addresses: Sequence[Address],
        entropy: Entropy,
        now: float,
        expected: bytes | None = None,
    ) -> None:
        self._own, self._expected = identity.public, expected
        self._exchange = KeyExchange(code, identity, name, entropy, inviter=False)
        self._events: deque[PairingEvent] = deque()
        token = entropy(PAIRING_TOKEN_BYTES)
        self._query = Query(code.number, token, self._exchange.element, self._exchange.ephemeral)
        self._keys: PairingKeys | None = None
        """Known from the offer on: then the proof is sent."""
        self._told, self._to = self._query.pack(), list(addresses)
        """What is repeated, and to whom; nothing any more if the list is empty."""
        self._again_at = now
        self._end = PairingEnd.NO_ANSWER
        """How it ends when the time is over."""
        self._ends_at: float | None = now + QUERY_TIMEOUT_S

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool:
        """Whether it showed that its sender knows the code."""
        told = parse_pairing(data)
        if (
            self._ends_at is None
            or isinstance(told, Query | Proof | Done | None)
            or told.token != self._query.token
        ):
            return False
        match told:
            case Offer() if self._keys is None:
                self._prove(told, address, now)
            case Refusal() if self._keys is not None:
                self._over(PairingEnd.REFUSED)
            case Result() if self._keys is not None:
                return self._judge(told, self._keys)
            case _:
                pass
        return False

    def keep(self, now: float) -> None:
        """The inviter of the event `Met` is kept: tell it, and end."""
        assert self._keys is not None
        to = self._to * DONE_COPIES
        self._over(PairingEnd.PAIRED)
        self._told = Done(self._query.token, self._keys.mac(self._keys.done_mac)).pack()
        self._to, self._again_at = to, now

    def handle_timer(self, now: float) -> None:
        if self._ends_at is not None and now >= self._ends_at:
            self._over(self._end)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        if now < self._again_at:
            return []
        self._again_at = now + RESEND_S
        return [(self._told, address) for address in self._to]

    def next_timer(self) -> float | None:
        return None if self._ends_at is None else min(self._again_at, self._ends_at)

    def next_event(self) -> PairingEvent | None:
        return self._events.popleft() if self._events else None

    def _prove(self, offer: Offer, address: Address, now: float) -> None:
        keys = self._exchange.agree(self._query, offer)
        introduction = None if keys is None else self._exchange.introduce(keys, offer.ephemeral)
        if introduction is None:
            self._over(PairingEnd.UNUSABLE)
            return
        query = self._query
        proof = Proof(query.number, query.token, query.element, query.ephemeral, *introduction)
        self._keys, self._told, self._to = keys, proof.pack(), [address]
        self._again_at, self._end, self._ends_at = now, PairingEnd.LOST, now + PROOF_TIMEOUT_S

    def _judge(self, result: Result, keys: PairingKeys) -> bool:
        if not self._exchange.knows_code(keys, result):
            self._over(PairingEnd.WRONG_CODE)
            return False
        who = self._exchange.introduced(keys, result.sealed)
        if who is None:
            self._over(PairingEnd.UNUSABLE)
        elif who.public == self._own:
            self._over(PairingEnd.OWN_KEY)
        elif self._expected not in (None, who.public):
            self._over(PairingEnd.OTHER_KEY)
        else:
            self._events.append(Met(who))
            self._ends_at = None
        return True

    def _over(self, end: PairingEnd) -> None:
        self._events.append(PairingOver(end))
        self._to, self._ends_at = [], None
