"""Searches the symbolic model of both handshakes for attacks, and for the flaws planted in it: `make prove`.

The model is in the `.maude` files beside this one; the head of `handshake.maude` says what it covers and what it does
not. Each line of the output is one verdict with the number of states searched:

holds   the property has no counterexample in any of its worlds, all of whose states were visited
limit   what the protocol does not promise: it must be found, or the manual pages would be wrong
runs    honest people get through: the worlds above are not empty ones in which all would hold
flaw    a protocol that was weakened on purpose: the named property must break

Exit status 0 only if every verdict is as expected; 2 if maude is missing. It needs nothing but the standard library.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "maude"
SEARCH_TIMEOUT_S = 900
STATES = re.compile(r"^states: (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the output: the worlds searched in turn, the property, and whether a breach is expected."""

    verdict: str
    pattern: str
    worlds: tuple[str, ...]
    aim: str
    says: str
    breaks: bool = True

    @property
    def name(self) -> str:
        return f"{self.verdict} {self.pattern} {self.aim} {' '.join(self.worlds)}"


PROPERTIES = {
    "secrecy": "the intruder does not get the keys of a run that is done",
    "forward-secrecy": "nor if he gets both static private keys afterwards",
    "later-break": "nor if he breaks X25519 afterwards, static and ephemeral keys",
    "agreement-i": "who dialled: that person answered, in this very handshake",
    "agreement-r": "who was called: that person dialled me and is done, same hash and keys",
    "injective-i": "no two runs of diallers share one transcript",
    "injective-r": "no run of a dialler stands behind two calls (replay)",
    "confirmed": "who dialled, at the first datagram: the other side is done and knows who I am",
    "first-message": "IK: who is named in message 1 has sent it (anew or before)",
    "contact-tag": "only the two contacts can make the tag of a knock",
    "suite": "nobody gets the lesser suite where both have the better one",
    "the-words": "two people in different handshakes: equal words only by a guess",
    "paid": "no nonce is got, so no words, before a side has answered or been shown the promised one",
    "in-role": "nobody is shown a nonce that was promised in his own role",
    "hides-i": "the dialler's key is not learnt",
    "hides-i-late": "nor after the other's private key has leaked",
    "hides-i-broken": "nor after X25519 has been broken",
    "tests-i": "a guess of the dialler's key cannot be tested",
    "tests-i-late": "nor after the other's private key has leaked",
    "tests-i-owner": "nor by who has got the dialler's private key",
    "hides-r": "the called one's key is not learnt",
    "hides-r-late": "nor after the other's private key has leaked",
    "hides-r-broken": "nor after X25519 has been broken",
    "tests-r": "a guess of the called one's key cannot be tested",
    "tests-r-late": "nor after the other's private key has leaked",
    "tests-r-owner": "nor by who has got the called one's private key",
    "stuck": "the model has no hole",
}

KEYS = ("secrecy", "forward-secrecy", "later-break")
PEERS = ("agreement-i", "agreement-r", "injective-i", "injective-r", "confirmed")
XX_WORLDS = ("pair", "calls", "called", "mirrored", "pinned")
IK_WORLDS = ("pair", "calls", "called", "mirrored", "crossed", "mixed")
LEAKS = ("owner-i", "owner-r")
WORDS_WORLDS = ("between", "between-twice", "both-call-him", "calls-both")
TRIED_DIALLING = ("between-twice", "both-call-him", "tries")
TRIED_CALLED = ("between-twice", "calls-both", "tries")
LATE_I = ("hides-i", "hides-i-late", "hides-i-broken", "tests-i", "tests-i-late", "tests-i-owner")
LATE_R = ("hides-r", "hides-r-late", "hides-r-broken", "tests-r", "tests-r-late", "tests-r-owner")


def holds(pattern: str, worlds: tuple[str, ...], *properties: str, why: str = "") -> list[Check]:
    """Claims: none of the properties breaks in any of the worlds."""
    note = f" ({why})" if why else ""
    return [
        Check("holds", pattern, worlds, name, PROPERTIES[name] + note, breaks=False) for name in properties
    ]


CLAIMS: tuple[Check, ...] = (
    *holds("xx", XX_WORLDS, *KEYS, *PEERS),
    *holds("ik", IK_WORLDS, *KEYS, *PEERS, "first-message", "contact-tag"),
    *holds("xx", LEAKS, *KEYS, *PEERS, why="one's own key leaked"),
    *holds("ik", LEAKS, *KEYS, *PEERS, why="one's own key leaked"),
    *holds("xx", ("kem-broken",), "secrecy", "forward-secrecy", *PEERS, why="ML-KEM broken"),
    *holds("ik", ("kem-broken",), "secrecy", "forward-secrecy", *PEERS, why="ML-KEM broken"),
    *holds("xx", ("suites",), "suite", *PEERS),
    *holds("ik", ("suites",), "suite", *PEERS),
    *holds("xx", WORDS_WORLDS, "the-words", "paid", "in-role"),
    *holds("ik", WORDS_WORLDS, "the-words", "paid", "in-role"),
    *holds("xx", ("tries",), "paid", "in-role", why="tries dropped unseen"),
    *holds("ik", ("tries",), "paid", "in-role", why="tries dropped unseen"),
    *holds("xx", ("reflected",), "paid", "in-role", why="the other's key leaked"),
    *holds("ik", ("reflected",), "paid", "in-role", why="the other's key leaked"),
    *holds("xx", ("onlooker-i",), *LATE_I, why="onlooker"),
    *holds("xx", ("stranger-pinned",), *LATE_I, why="active, and the dialler knows whom he calls"),
    *holds("xx", ("onlooker-r",), *LATE_R, why="onlooker"),
    *holds("ik", ("onlooker-i", "stranger-i"), "hides-i", "tests-i", why="onlooker and active"),
    *holds("ik", ("onlooker-r", "stranger-r"), "hides-r", "hides-r-late", "hides-r-broken", why="active"),
    *holds("ik", ("onlooker-r", "stranger-r"), "tests-r", why="onlooker and active"),
    *holds("ik-bare", ("onlooker-r", "stranger-r"), "tests-r-late", why="without the knock"),
    *holds("ik-bare", ("onlooker-i", "stranger-i"), "tests-i-owner", why="without the knock"),
    *holds("xx", ("pair", "pinned", "between", "calls-both", "stranger-i", "suites"), "stuck"),
    *holds("ik", ("pair", "calls", "between", "calls-both", "stranger-i", "suites"), "stuck"),
)


def found(verdict: str, rows: Iterable[tuple[str, str, str, str]]) -> tuple[Check, ...]:
    """Checks whose property must break: pattern, world, property, what is said of it."""
    return tuple(Check(verdict, pattern, (world,), prop, says) for pattern, world, prop, says in rows)


LIMITS = found(
    "limit",
    (
        ("xx", "stranger-i", "hides-i", "who dials without knowing the key shows his own to whoever answers"),
        ("xx", "stranger-r", "hides-r", "who answers anyone shows his key to anyone who dials"),
        (
            "ik",
            "onlooker-i",
            "hides-i-late",
            "a recorded IK shows the dialler once the called one's key leaks",
        ),
        ("ik", "onlooker-i", "hides-i-broken", "a recorded IK shows the dialler once X25519 is broken"),
        (
            "ik",
            "onlooker-i",
            "tests-i-owner",
            "`tag`: who gets the dialler's private key finds his old knocks",
        ),
        (
            "ik",
            "onlooker-r",
            "tests-r-late",
            "`tag`: and finds, of the public keys that he has, whom they were for",
        ),
        ("ik-bare", "onlooker-r", "tests-r-owner", "without the knock: only by the called one's private key"),
        ("ik", "owner-i", "contact-tag", "who has a contact's private key can knock as he does"),
        (
            "ik",
            "owner-r",
            "first-message-alone",
            "the called one's own key leaked: message 1 alone proves nothing",
        ),
        ("xx", "stranger-r", "tests-r-owner", "shown anyway"),
        *((p, "between", "pays-i", "who answers a call learns its words: one guess") for p in ("xx", "ik")),
        *(
            (p, "between", "pays-r", "whose call is answered learns its words: one guess")
            for p in ("xx", "ik")
        ),
    ),
)

RUNS = found(
    "runs",
    (
        *((p, w, "finishes-r", "") for p in ("xx", "ik") for w in ("pair", "calls", "suites", "kem-broken")),
        *((p, f"owner-{s}", f"finishes-{s}", "") for p in ("xx", "ik") for s in "ir"),
        *((p, f"onlooker-{s}", "finishes-r", "") for p in ("xx", "ik") for s in "ir"),
        *((p, "stranger-pinned", "finishes-r", "") for p in ("xx", "ik")),
        *(("xx", w, "finishes-r", "") for w in ("pinned", "called", "mirrored")),
        *(("ik", w, "finishes-r", "") for w in ("called", "crossed", "mirrored", "mixed")),
        ("ik-bare", "onlooker-r", "finishes-r", ""),
        *((p, w, "pays-i", "") for p in ("xx", "ik") for w in (*TRIED_DIALLING, "reflected")),
        *((p, w, "pays-r", "") for p in ("xx", "ik") for w in TRIED_CALLED),
    ),
)

FLAWS = found(
    "flaw",
    (
        ("xx-no-es", "pair", "agreement-i", "XX without `es`"),
        ("xx-no-se", "pair", "agreement-r", "XX without `se`"),
        ("xx-ss", "owner-r", "agreement-r", "XX with `ss` in the place of `se`"),
        ("xx-no-kem", "pair", "later-break", "XX without ML-KEM"),
        ("xx-no-kem", "onlooker-r", "hides-r-broken", "XX without ML-KEM"),
        ("xx-static", "pair", "forward-secrecy", "XX without `ee` and without ML-KEM"),
        ("xx-static", "onlooker-r", "hides-r-late", "XX without `ee`: the called one's key in the clear"),
        ("xx-unconfirmed", "pair", "confirmed", "the dialler does not wait for a sealed datagram"),
        ("xx", "reused", "injective-i", "a dialler's fresh values are not fresh"),
        ("xx-no-commitment", "between", "the-words", "no commitment in message 1"),
        ("xx-nonce-first", "between", "the-words", "the nonce itself in the place of the commitment"),
        (
            "xx-key-uncommitted",
            "between",
            "the-words",
            "the old order, and a commitment without the static key",
        ),
        ("xx-nonce-uncommitted", "between", "the-words", "a commitment without the nonce"),
        ("xx-nonce-uncommitted", "onlooker-i", "tests-i", "a commitment without the nonce"),
        ("xx-nonce-uncommitted", "onlooker-i", "tests-i-late", "a commitment without the nonce"),
        ("xx-old-order", "both-call-him", "paid", "the dialler's nonce in message 3"),
        ("xx-old-order", "calls-both", "paid", "the called one's nonce in message 2, and not its commitment"),
        ("xx-old-order", "tries", "paid", "both nonces in the handshake"),
        (
            "xx-nonce-offered",
            "calls-both",
            "paid",
            "the called one's nonce in message 2, the dialler's later",
        ),
        ("xx-reveal-early", "both-call-him", "paid", "the dialler's nonce before the called one's"),
        ("xx-reveal-unchecked", "both-call-him", "paid", "the dialler's nonce against any other"),
        ("xx-no-roles", "reflected", "in-role", "commitments without the role: reflection"),
        ("xx-no-suites", "suites", "suite", "a prologue without the suites: downgrade"),
        ("xx-any-choice", "suites", "suite", "the choice is not held to the offer: downgrade"),
        ("xx-key-early", "onlooker-i", "hides-i", "the dialler's key in message 1"),
        ("ik-no-ss", "pair", "first-message", "IK without `ss`"),
        ("ik-no-se", "owner-r", "agreement-r", "IK without `se`: impersonation after a leak"),
        ("ik-no-es", "owner-i", "agreement-i", "IK without `es`: impersonation after a leak"),
        ("ik-no-es", "owner-i", "secrecy", "IK without `es`"),
        ("ik-no-ee", "kem-broken", "forward-secrecy", "IK without `ee`: all rests on ML-KEM"),
        ("ik-no-kem", "pair", "later-break", "IK without ML-KEM"),
        ("ik-static", "pair", "forward-secrecy", "IK without `ee` and without ML-KEM"),
        ("ik-no-commitment", "between", "the-words", "no commitment in message 1"),
        ("ik-no-confirmation", "called", "injective-r", "the line begins without the confirmation: replay"),
        ("ik-no-confirmation", "called", "agreement-r", "the line begins without the confirmation: replay"),
        ("ik-old-order", "both-call-him", "paid", "the dialler's nonce in the confirmation"),
        ("ik-old-order", "calls-both", "paid", "the called one's nonce in message 2, and not its commitment"),
        ("ik-old-order", "tries", "paid", "both nonces in the handshake"),
        (
            "ik-nonce-offered",
            "calls-both",
            "paid",
            "the called one's nonce in message 2, the dialler's later",
        ),
        ("ik-reveal-early", "both-call-him", "paid", "the dialler's nonce before the called one's"),
        ("ik-reveal-unchecked", "both-call-him", "paid", "the dialler's nonce against any other"),
        ("ik-no-roles", "reflected", "in-role", "commitments without the role: reflection"),
        ("ik-mac1", "onlooker-r", "tests-r", "a knock with a MAC by the called one's public key"),
        ("ik-no-suites", "suites", "suite", "a prologue without the suites: downgrade"),
        ("ik-any-choice", "suites", "suite", "the choice is not held to the offer: downgrade"),
        ("ik-key-clear", "onlooker-i", "hides-i", "the dialler's key before `es`"),
    ),
)

CHECKS = (*CLAIMS, *LIMITS, *RUNS, *FLAWS)
NAMES = {"xx": "XXhfs", "ik": "IKhfs", "ik-bare": "IKhfs, no knock"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to: whether a state was found, and how many were visited."""

    found: bool
    states: int


class ModelError(Exception):
    """Maude did not take the model, or did not come to an end."""


def search(pattern: str, world: str, properties: Sequence[str], *, breaks: bool) -> Found:
    """Search one world for a state in which one of the properties is broken; ModelError if maude says anything else.

    Where none is expected, whatever does not reduce to `false` counts as one, so a hole in the model shows.
    """
    wanted = " \\/ ".join(properties)
    condition = f"bad({wanted}, S:State) {'=' if breaks else '=/='} {'true' if breaks else 'false'}"
    command = f"search [1] {world}({pattern}) =>* S:State such that {condition} .\nquit\n"
    try:
        result = subprocess.run(
            ["maude", "-no-banner", "-no-advise", "-no-wrap", "-no-tecla", str(HERE / "properties.maude")],
            input=command,
            capture_output=True,
            text=True,
            timeout=SEARCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{world}({pattern}): no end after {SEARCH_TIMEOUT_S} s") from error
    states = STATES.search(result.stdout)
    text = result.stdout + result.stderr
    if result.returncode or states is None or "Warning" in text or "Error" in text:
        lines = [line for line in text.splitlines() if not line.startswith("S:State")]
        raise ModelError(f"{world}({pattern}), {wanted}:\n" + "\n".join(lines[:20]))
    return Found("\nSolution 1 " in result.stdout, int(states[1]))


class Searcher:
    """Searches with a memory: the claims on one world are looked for together, in one pass over its states."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._known: dict[tuple[str, str, str], Found] = {}
        self._together: dict[tuple[str, str], list[str]] = {}
        for check in checks:
            if not check.breaks:
                for world in check.worlds:
                    self._together.setdefault((check.pattern, world), []).append(check.aim)

    def look(self, check: Check, world: str) -> Found:
        """The verdict of one world; ModelError."""
        key = check.pattern, world, check.aim
        if check.breaks:
            return search(check.pattern, world, [check.aim], breaks=True)
        if key not in self._known:
            names = self._together.get((check.pattern, world), [check.aim])
            result = search(check.pattern, world, names, breaks=False)
            for name in names:
                alone = search(check.pattern, world, [name], breaks=False) if result.found else result
                self._known[check.pattern, world, name] = alone
        return self._known[key]


def judge(check: Check, searcher: Searcher) -> bool:
    """Search the check's worlds, print its line, say whether the verdict is the expected one; ModelError."""
    results = {world: searcher.look(check, world) for world in check.worlds}
    broken = [world for world, result in results.items() if result.found]
    states = sum(result.states for result in results.values())
    passed = bool(broken) == check.breaks
    if passed:
        said = check.says
    elif broken:
        said = f"BROKEN in {', '.join(broken)}: {check.says}"
    else:
        said = f"NOT FOUND: {check.says}"
    name = NAMES.get(check.pattern, check.pattern)
    worlds = check.worlds[0] if len(check.worlds) == 1 else f"{len(check.worlds)} worlds"
    verdict = check.verdict if passed else "FAIL"
    line = f"{verdict:5}  {name:20} {check.aim:19} {worlds:15} {states:6} states  {said}"
    print(line.rstrip(), flush=True)
    return passed


def main(argv: Sequence[str]) -> int:
    """Run the checks whose names have the given words; 0 if all are as expected, 1 if not, 2 without maude."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "words", nargs="*", help="only checks whose name has all of these, e.g. `flaw ik-no-se`"
    )
    options = parser.parse_args(argv)
    if shutil.which("maude") is None:
        print(f"prove: maude is missing; install it (Debian: apt-get install {PACKAGE})", file=sys.stderr)
        return 2
    chosen = [check for check in CHECKS if all(word in check.name for word in options.words)]
    searcher = Searcher(chosen)
    start = time.monotonic()
    try:
        verdicts = [judge(check, searcher) for check in chosen]
    except ModelError as error:
        print(f"prove: {error}", file=sys.stderr)
        return 1
    bad = verdicts.count(False)
    print(f"\nverdicts: {len(verdicts)}, not as expected: {bad}; {time.monotonic() - start:.0f} s")
    return 1 if bad or not verdicts else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
