"""The inviter's side: it waits for one joiner who knows the code.

Rules:
- A query with its number gets the same offer each time, whoever sends it. It keeps no state and tells nothing, so there
  is nothing to flood. Anything else gets no answer.
- The first proof decides. If it is wrong, the code is burnt; whoever sent it learns this one thing.
- After that, and after INVITE_S, there is no answer any more, as with an unknown number. Only the proof that has
  decided is answered again, for its answer may have been lost.
- The joiner first proves the code, then the inviter. So nobody can try a guess without being noticed here.

It is an endpoint with the five methods (`net.pump`). Left out: where datagrams come from does not matter.
"""

import hmac
from collections import deque

from p2pcall.pairing.code import Code
from p2pcall.pairing.constants import DONE_TIMEOUT_S, INVITE_S, REFUSAL_LINGER_S
from p2pcall.pairing.datagrams import Done, Offer, Proof, Query, Refusal, Result, parse_pairing
from p2pcall.pairing.key_exchange import KeyExchange, PairingKeys
from p2pcall.pairing.outcome import Met, PairingEnd, PairingEvent, PairingOver
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.types import Address, Entropy


class Inviter:
    """One invite."""

    def __init__(self, code: Code, identity: KeyPair, name: str, entropy: Entropy, now: float) -> None:
        self._code, self._own = code, identity.public
        self._exchange = KeyExchange(code, identity, name, entropy, inviter=True)
        self._events: deque[PairingEvent] = deque()
        self._out: list[tuple[bytes, Address]] = []
        self._judged: bytes | None = None
        """The proof that has decided."""
        self._where: Address = ()
        self._keys: PairingKeys | None = None
        """The keys in common with the joiner who knew the code."""
        self._held: bytes | None = None
        """The result, until the joiner is kept."""
        self._answer: bytes | None = None
        """What the deciding proof is answered with, now and again."""
        self._end = PairingEnd.EXPIRED
        """How it ends when the time is over."""
        self._ends_at: float | None = now + INVITE_S

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool:
        """Whether it showed that its sender knows the code."""
        if self._ends_at is not None and now >= self._ends_at:
            return False
        match parse_pairing(data):
            case Query(number=self._code.number, token=token) if self._judged is None:
                self._out.append((self._offer(token).pack(), address))
            case Proof(number=self._code.number) as proof if self._judged is None:
                self._judged, self._where = data, address
                return self._judge(proof, now)
            case Proof() if data == self._judged and self._answer is not None:
                self._out.append((self._answer, address))
            case Done() as done if self._keys is not None and self._end is PairingEnd.UNCONFIRMED:
                if hmac.compare_digest(self._keys.mac(self._keys.done_mac), done.mac):
                    self._over(PairingEnd.PAIRED)
            case _:
                pass
        return False

    def keep(self, now: float) -> None:
        """The joiner of the event `Met` is kept: tell it."""
        assert self._held is not None
        self._tell(self._held, PairingEnd.UNCONFIRMED, now + DONE_TIMEOUT_S)
        self._held = None

    def handle_timer(self, now: float) -> None:
        if self._ends_at is not None and now >= self._ends_at:
            self._over(self._end)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        out, self._out = self._out, []
        return out

    def next_timer(self) -> float | None:
        return self._ends_at

    def next_event(self) -> PairingEvent | None:
        return self._events.popleft() if self._events else None

    def _offer(self, token: bytes) -> Offer:
        return Offer(token, self._exchange.element, self._exchange.ephemeral)

    def _judge(self, proof: Proof, now: float) -> bool:
        exchange = self._exchange
        refusal = Refusal(proof.token).pack()
        keys = exchange.agree(proof, self._offer(proof.token))
        if keys is None or not exchange.knows_code(keys, proof):
            self._tell(refusal, PairingEnd.WRONG_CODE, now + REFUSAL_LINGER_S)
            return False
        who, introduction = exchange.introduced(keys, proof.sealed), exchange.introduce(keys, proof.ephemeral)
        if who is None or introduction is None:
            self._tell(refusal, PairingEnd.UNUSABLE, now + REFUSAL_LINGER_S)
            return True
        result = Result(proof.token, *introduction).pack()
        if who.public == self._own:
            self._tell(result, PairingEnd.OWN_KEY, now + REFUSAL_LINGER_S)
            return True
        self._keys, self._held, self._ends_at = keys, result, None
        self._events.append(Met(who))
        return True

    def _tell(self, answer: bytes, end: PairingEnd, until: float) -> None:
        self._answer, self._end, self._ends_at = answer, end, until
        self._out.append((answer, self._where))

    def _over(self, end: PairingEnd) -> None:
        self._events.append(PairingOver(end))
        self._answer = self._keys = self._ends_at = None
        self._judged = b""
