"""The safe word: both sides prove that they know the same word, and neither shows it (SPAKE2). Sans-IO.

Rules: a run is one guess and no more: who does not know the word learns whether one word was right, and nothing else
that could be tried later. Runs are numbered, and there are `RUNS` in a call, whoever begins them. What is proven is
bound to this call by its handshake hash: somebody in between has two calls, and two that prove nothing to each other.
A side without a word takes part with one that nobody can know, so that the run itself does not tell; it says so
afterwards. That the other side has none is its own claim.

Messages: `step u8, run u8`, then an element (32 bytes), a proof (32) or an end (1). The sides are A, who has dialled,
and B; each of them may begin. Left out: who may press the key, and where words are kept (`store`). Library: `spake2`
with its usual group, whose elements are checked to be of it.
"""

import hashlib
import hmac
import unicodedata
from enum import IntEnum, StrEnum
from typing import Any, Final

from msgspec import Struct

from p2pcall.types import Entropy

RUNS: Final = 3
"""Runs in a call: each is one guess for a side that does not know the word."""
LEAST_CHARS: Final = 4
MOST_CHARS: Final = 64
_LABEL: Final = b"p2pcall safe word 1"
UNKNOWABLE_BYTES: Final = 32
"""Random bytes in place of a word that is not set."""
WORD_ELEMENT_BYTES: Final = 32
WORD_PROOF_BYTES: Final = 32
_HEAD_BYTES: Final = 2
_CALLER, _CALLEE = b"A", b"B"


class Step(IntEnum):
    """The messages of a run, in their order."""

    ELEMENT = 0
    PROOF = 1
    END = 2


class End(IntEnum):
    """What a side says after the other's proof; only `NONE` adds anything to what the proofs show."""

    SAME = 0
    DIFFERENT = 1
    NONE = 2


class WordResult(StrEnum):
    """How a run ended, for people and scripts."""

    SAME = "same"
    DIFFERENT = "different"
    NONE_HERE = "none-here"
    NONE_THERE = "none-there"
    NO_ANSWER = "no-answer"


class SafeWord(Struct, frozen=True):
    """A word shared with one contact; `repr` does not show it."""

    text: str

    def __repr__(self) -> str:
        return "SafeWord()"


def safe_word(typed: str) -> SafeWord:
    """The word that somebody has typed; case and spaces do not matter. ValueError if it is too short or too long."""
    text = " ".join(unicodedata.normalize("NFKC", typed).casefold().split())
    if not LEAST_CHARS <= len(text) <= MOST_CHARS or not text.isprintable():
        raise ValueError(f"a safe word has {LEAST_CHARS} to {MOST_CHARS} characters")
    return SafeWord(text)


class _Run:
    """One run, seen from one side."""

    def __init__(
        self, number: int, word: SafeWord | None, call: bytes, entropy: Entropy, role: bytes
    ) -> None:
        from spake2 import SPAKE2_A, SPAKE2_B

        self.has_word = word is not None
        self.failed = False
        """Whether the other side's proof was wrong, and its end is waited for."""
        secret = entropy(UNKNOWABLE_BYTES) if word is None else word.text.encode()
        bound = _LABEL + bytes([number]) + call
        sides = {_CALLER: SPAKE2_A, _CALLEE: SPAKE2_B}
        self._side: Any = sides[role](secret, idA=bound + _CALLER, idB=bound + _CALLEE, entropy_f=entropy)
        self._role, self._other = role, _CALLEE if role == _CALLER else _CALLER
        self.element: bytes = self._side.start().removeprefix(role)
        self._key: bytes | None = None

    @property
    def met(self) -> bool:
        """Whether the other side's element has come."""
        return self._key is not None

    def meet(self, element: bytes) -> bytes | None:
        """Take the other side's element; our proof, or None if it is no element of the group."""
        from spake2 import SPAKEError
        from spake2.ed25519_basic import NotOnCurve

        try:
            self._key = self._side.finish(self._other + element)
        except (ValueError, SPAKEError, NotOnCurve):
            return None
        return self._proof(self._role)

    def proves(self, proof: bytes) -> bool:
        """Whether the other side's proof shows that it has used the same word."""
        return hmac.compare_digest(self._proof(self._other), proof)

    def _proof(self, role: bytes) -> bytes:
        assert self._key is not None, "proofs follow the elements"
        return hmac.digest(self._key, _LABEL + role, hashlib.sha256)


class WordReply(Struct, frozen=True):
    """What to send, in this order, and how the run has ended, if it has."""

    bodies: tuple[bytes, ...] = ()
    result: WordResult | None = None


class WordExchange:
    """All runs of one call, seen from one side. Each method may take some milliseconds."""

    def __init__(self, handshake_hash: bytes, entropy: Entropy, *, dialled: bool) -> None:
        """`dialled`: this side has placed the call."""
        self._call, self._entropy = handshake_hash, entropy
        self._role = _CALLER if dialled else _CALLEE
        self._runs = 0
        self._run: _Run | None = None

    @property
    def runs(self) -> int:
        """Runs that were begun; the number of the last one."""
        return self._runs

    @property
    def running(self) -> bool:
        """Whether the end of a run is waited for."""
        return self._run is not None

    def begin(self, word: SafeWord) -> WordReply:
        """Begin a run, unless one is going on or there were enough."""
        if self.running or self._runs >= RUNS:
            return WordReply()
        return WordReply((self._begin(self._runs + 1, word),))

    def receive(self, body: bytes, word: SafeWord | None) -> WordReply:
        """Take a message of the other side; `word` is ours. What is malformed or out of its turn does nothing."""
        if len(body) <= _HEAD_BYTES:
            return WordReply()
        step, number, rest = body[0], body[1], body[_HEAD_BYTES:]
        if step == Step.ELEMENT and len(rest) == WORD_ELEMENT_BYTES:
            return self._met(number, rest, word)
        if self._run is None or number != self._runs:
            return WordReply()
        if step == Step.PROOF and len(rest) == WORD_PROOF_BYTES:
            return self._proven(self._run, rest)
        if step == Step.END and len(rest) == 1:
            return self._told(self._run, rest[0])
        return WordReply()

    def give_up(self) -> WordResult | None:
        """The other side has not answered in time: how the run has ended; None if there is none."""
        run, self._run = self._run, None
        if run is None:
            return None
        return WordResult.DIFFERENT if run.failed else WordResult.NO_ANSWER

    def _begin(self, number: int, word: SafeWord | None) -> bytes:
        self._runs = number
        self._run = _Run(number, word, self._call, self._entropy, self._role)
        return bytes([Step.ELEMENT, number]) + self._run.element

    def _met(self, number: int, element: bytes, word: SafeWord | None) -> WordReply:
        """Their element: the answer to ours, or the begin of a later run."""
        ours: tuple[bytes, ...] = ()
        left = None
        if self._runs < number <= RUNS:
            left = self.give_up()  # else a wrong guess could be hidden behind the next
            ours = (self._begin(number, word),)
        run = self._run
        if run is None or number != self._runs or run.met:
            return WordReply()
        proof = run.meet(element)
        if proof is None:
            self._run = None
            return WordReply(ours, WordResult.DIFFERENT)
        return WordReply((*ours, bytes([Step.PROOF, number]) + proof), left)

    def _proven(self, run: _Run, proof: bytes) -> WordReply:
        if not run.met or run.failed:
            return WordReply()
        same = run.proves(proof)
        end = End.SAME if same else End.DIFFERENT if run.has_word else End.NONE
        bodies = (bytes([Step.END, self._runs, end]),)
        if not same and run.has_word:
            run.failed = True
            return WordReply(bodies)
        self._run = None
        return WordReply(bodies, WordResult.SAME if same else WordResult.NONE_HERE)

    def _told(self, run: _Run, end: int) -> WordReply:
        """Their end tells only why a proof was wrong."""
        if not run.failed:
            return WordReply()
        self._run = None
        return WordReply((), WordResult.NONE_THERE if end == End.NONE else WordResult.DIFFERENT)
