"""The second factor: codes by time, as authenticator apps make them, and what a wrong one costs. Pure.

Rules: a code is right one step early or late; each works once. A code of another time within `TOLD_STEPS` is not
accepted, but recognised: then one of the two clocks is wrong, and that is said. Such a code is used up, too, because
who guesses it must not be able to wait for its time. Every fifth failure in a row locks the caller out, longer
each time; while that lasts no code is looked at. Left out: who has to give a code, and where secrets are kept
(`store`). Spec: RFC 6238 with HMAC-SHA-1, six digits, thirty seconds, which is what every app takes.
"""

import hashlib
import hmac
import math
from collections.abc import Sequence
from enum import IntEnum
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

SECRET_BYTES: Final = 20
"""As long as RFC 4226 recommends: 160 bits."""
DIGITS: Final = 6
CODES: Final = 1_000_000
"""As many as there are with six digits."""
CODE_STEP_S: Final = 30
ACCEPTED_STEPS: Final = 1
"""Steps by which a code may be early or late: the time to read and type it."""
TOLD_STEPS: Final = 20
"""Steps by which a code is still recognised: clocks that are wrong by up to ten minutes are told from wrong codes."""
FAILURES_TO_LOCK: Final = 5
"""Failures in a row that lock a caller out; as many again lock for longer."""
FIRST_LOCK_S: Final = 60.0
LOCK_GROWTH: Final = 4
"""Each lock is this many times longer than the one before."""
LONGEST_LOCK_S: Final = 86400.0
"""A day: then five guesses a day are left, of which one in 66,000 is right."""
MAX_USED: Final = 64
"""Steps kept of used codes; more than the steps in which a code is recognised."""
TRIES: Final = 3
"""Codes that a caller may give in one call."""
GIVE_TIMEOUT_S: Final = 120.0
"""How long a caller may take for all of them: time to find the telephone and to wait for the next code."""
_NIBBLE: Final = 0x0F
_WITHOUT_SIGN: Final = 0x7FFFFFFF
_COUNTER: Final = Layout(">Q")
_WORD: Final = Layout(">I")
_REQUEST: Final = Layout(">BBi")


class CodeVerdict(IntEnum):
    """What the asking side says: the numbers are on the wire."""

    ASKED = 0
    WRONG = 1
    USED = 2
    CLOCK = 3
    LOCKED = 4
    RIGHT = 5


class Passcode(Struct, frozen=True):
    """A secret that makes codes, and the steps whose codes are used up; `repr` does not show the secret."""

    secret: bytes
    used: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"Passcode(used={self.used!r})"


class Tally(Struct, frozen=True):
    """A caller's failures in a row, and until when they are locked out (epoch seconds)."""

    failures: int = 0
    locked_until: float = 0.0


class Judgement(Struct, frozen=True):
    """What a code is, and what to keep. `seconds`: how much later the code's time is than ours, or the lock's rest."""

    verdict: CodeVerdict
    passcode: Passcode
    tally: Tally
    seconds: int = 0


class PasscodeRequest(Struct, frozen=True):
    """The body of PASSCODE_REQUEST: how the last code was, tries that are left in this call, seconds as above."""

    verdict: CodeVerdict
    left: int = 0
    seconds: int = 0


def code_at(secret: bytes, step: int) -> bytes:
    """The code of a step, in digits (RFC 4226)."""
    digest = hmac.digest(secret, _COUNTER.pack(step), hashlib.sha1)
    (word,) = _WORD.unpack_from(digest, digest[-1] & _NIBBLE)
    return b"%0*d" % (DIGITS, (word & _WITHOUT_SIGN) % CODES)


def locked_s(tally: Tally, epoch: float) -> int:
    """How long no code is looked at; 0: codes are taken. Never longer than the lock was, if the clock was set back."""
    return math.ceil(min(max(tally.locked_until - epoch, 0.0), _lock_s(tally.failures)))


def judge_code(passcode: Passcode, tally: Tally, given: bytes, epoch: float) -> Judgement:
    """What the code `given` at that time is. Looks at every step, so that the time taken tells nothing."""
    locked = locked_s(tally, epoch)
    if locked:
        return Judgement(CodeVerdict.LOCKED, passcode, tally, locked)
    now = int(epoch // CODE_STEP_S)
    steps = range(max(now - TOLD_STEPS, 0), now + TOLD_STEPS + 1)
    same = [step for step in steps if hmac.compare_digest(code_at(passcode.secret, step), given)]
    near = [step for step in same if abs(step - now) <= ACCEPTED_STEPS]
    for step in near:
        if step not in passcode.used:
            return Judgement(CodeVerdict.RIGHT, _use(passcode, [step], now), Tally())
    if near:
        return Judgement(CodeVerdict.USED, passcode, tally)
    failed = _failed(tally, epoch)
    if not same:
        return Judgement(CodeVerdict.WRONG, passcode, failed)
    apart = min((step - now for step in same), key=abs)
    return Judgement(CodeVerdict.CLOCK, _use(passcode, same, now), failed, apart * CODE_STEP_S)


def _use(passcode: Passcode, steps: Sequence[int], now: int) -> Passcode:
    """The same secret with these steps used up; what is too old to be recognised is forgotten."""
    used = sorted({*passcode.used, *steps})
    return Passcode(passcode.secret, tuple(step for step in used if step >= now - TOLD_STEPS)[-MAX_USED:])


def _failed(tally: Tally, epoch: float) -> Tally:
    """One more failure; every `FAILURES_TO_LOCK`th locks."""
    failures = tally.failures + 1
    locks = failures % FAILURES_TO_LOCK == 0
    return Tally(failures, epoch + _lock_s(failures) if locks else 0.0)


def _lock_s(failures: int) -> float:
    """How long the last lock is after so many failures; 0: there was none."""
    locks = min(failures // FAILURES_TO_LOCK, MAX_USED)
    return min(FIRST_LOCK_S * LOCK_GROWTH ** (locks - 1), LONGEST_LOCK_S) if locks else 0.0


def pack_request(request: PasscodeRequest) -> bytes:
    """The body of PASSCODE_REQUEST."""
    return _REQUEST.pack(request.verdict, request.left, request.seconds)


def parse_request(body: bytes) -> PasscodeRequest | None:
    """The request in a body; None for anything malformed."""
    if len(body) != _REQUEST.size:
        return None
    verdict, left, seconds = _REQUEST.unpack(body)
    return PasscodeRequest(CodeVerdict(verdict), left, seconds) if verdict in set(CodeVerdict) else None


def parse_passcode(text: str) -> bytes | None:
    """What a person has typed or a program has printed, as the body of PASSCODE; None if it cannot be a code."""
    code = "".join(text.split())
    return code.encode() if len(code) == DIGITS and code.isascii() and code.isdigit() else None
