"""What the vault costs: opening it, deciding about a ring with thousands of contacts, listing a month's calls.

The vault is opened in processes of their own, because that is what a start pays for; all else is in this one. Each
figure is the median of several runs.
"""

import io
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

from p2pcall.cli.history import list_calls
from p2pcall.engine.trust import TrustStore
from p2pcall.env import Env
from p2pcall.proto.constants import KEY_BYTES, MAX_CONTACTS
from p2pcall.store.calllog import MAX_CALLS
from p2pcall.store.contact import Book, Contact
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint
from p2pcall.store.vault import Vault

RUNS = 11
CONTACTS = min(4000, MAX_CONTACTS)
LISTED = 50
OPENING_GOAL_MS, RING_GOAL_MS, LIST_GOAL_MS = 15.0, 2.0, 50.0
OPENING = """
import sys, time
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
home = Home.at(sys.argv[1])
own = load_or_create(home, None)
start = time.perf_counter()
from p2pcall.store.vault import Vault
with Vault(home, lambda: own).reading() as db:
    assert db is not None
print(time.perf_counter() - start)
"""
Figure = tuple[str, float, str, float | None]
"""What, how much, its unit, its goal."""


def key(number: int) -> bytes:
    return number.to_bytes(KEY_BYTES, "big")


def filled(place: Path) -> Home:
    """A home with that many contacts and calls."""
    home = Home.at(place)
    vault = Vault(home)
    book = Book([Contact(f"contact {number}", key(number), float(number)) for number in range(CONTACTS)], {})
    Contacts(home, vault).adopt(book)
    now = time.time()
    columns = "at, outgoing, name, fingerprint, known, duration_s, reason, calls"
    printed = [fingerprint(key(number)) for number in range(CONTACTS)]
    with vault.writing() as db:
        db.executemany(
            f"INSERT INTO calls({columns}) VALUES(?, ?, ?, ?, 'contact', ?, 'hung-up', 1)",
            (
                (
                    now - 1 - 20 * at,
                    at % 2,
                    f"contact {at % CONTACTS}",
                    printed[at % CONTACTS],
                    float(at % 4000),
                )
                for at in range(MAX_CALLS)
            ),
        )
    vault.close()
    return home


def opening_ms(home: Home) -> float:
    ran = subprocess.run(
        [sys.executable, "-c", OPENING, str(home.data)], capture_output=True, text=True, check=True
    )
    return float(ran.stdout) * 1000


def took_ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def median(run: Callable[[], float]) -> float:
    return statistics.median(run() for _ in range(RUNS))


def decide(trust: TrustStore, public: bytes) -> None:
    """All that the store is asked before it rings."""
    trust.is_contact(public)
    trust.is_blocked(public)
    trust.introduce(public, "somebody")
    trust.factors.required(public, unasked=False)
    trust.factors.locked_s(public, 0.0)


def vault_figures(place: Path) -> Iterator[Figure]:
    """Every figure of the vault, with its goal."""
    home = filled(place)
    yield "opening the vault, at a start", median(lambda: opening_ms(home)), "ms", OPENING_GOAL_MS
    contacts = Contacts(home)
    trust = TrustStore(contacts, key(0))
    decide(trust, key(1))
    for who, public in (("a contact", key(CONTACTS - 1)), ("a stranger", key(CONTACTS))):
        took = median(lambda public=public: took_ms(lambda: decide(trust, public)))
        yield f"deciding a ring of {who}, {CONTACTS} contacts", took, "ms", RING_GOAL_MS
    other, mark = Contacts(home), cycle((True, False))

    def after_a_change() -> float:
        other.verify("contact 7", key(7), verified=next(mark))
        return took_ms(lambda: decide(trust, key(1)))

    yield "the same after another process has changed a contact", median(after_a_change), "ms", None
    environ = dict(os.environ)

    def listing(most: int | None) -> float:
        env = Env(io.StringIO(), io.StringIO(), io.StringIO(), environ)
        return took_ms(lambda: list_calls(env, home, most, json=False))

    listed = median(lambda: listing(LISTED))
    yield f"listing {LISTED} of {MAX_CALLS} calls, opening included", listed, "ms", LIST_GOAL_MS
    yield f"listing all {MAX_CALLS}", listing(None), "ms", None
