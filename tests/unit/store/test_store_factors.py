"""Second factors and safe words in the vault: who has to give a code, what is kept of it, and what cannot be read."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from test_store_vault import plaintext

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.factor.passcode import (
    CODE_STEP_S,
    FAILURES_TO_LOCK,
    FIRST_LOCK_S,
    CodeVerdict,
    Tally,
    code_at,
)
from p2pcall.factor.safe_word import SafeWord, safe_word
from p2pcall.store.contact import Contact
from p2pcall.store.contact_secrets import Secret
from p2pcall.store.contacts import Contacts
from p2pcall.store.factor_blobs import Tried, packed_tried, parse_tried
from p2pcall.store.factors import UNASKED, UNASKED_TRIED, Factors
from p2pcall.store.home import Home
from p2pcall.store.vault import Vault

ANN, BEN, CAT = b"a" * 32, b"b" * 32, b"c" * 32
OWN, HOUSE = b"s" * 20, b"h" * 20
NOW = 1_700_000_010.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    contacts = Contacts(home)
    contacts.pin("ann", ANN, 1.0)
    contacts.pin("ben", BEN, 2.0)
    return home


def factors(home: Home) -> Factors:
    """As after a restart."""
    return Factors(Vault(home))


def code(secret: bytes, epoch: float = NOW) -> bytes:
    return code_at(secret, int(epoch // CODE_STEP_S))


def verdict(
    home: Home, public: bytes, given: bytes, epoch: float = NOW, *, unasked: bool = False
) -> CodeVerdict:
    judged = factors(home).judge(public, given, epoch, unasked=unasked)
    assert judged is not None
    return judged.verdict


def test_nobody_has_to_give_a_code_until_it_is_required(home: Home) -> None:
    kept = home.vault_path.read_bytes()
    assert not any(factors(home).required(key, unasked=True) for key in (ANN, BEN, CAT))
    assert factors(home).judge(ANN, b"123456", NOW, unasked=True) is None
    assert home.vault_path.read_bytes() == kept
    assert not any(home.data.glob("contacts*"))


def test_a_code_is_required_of_the_chosen_contact_alone(home: Home) -> None:
    assert factors(home).require(ANN, OWN)
    assert [factors(home).required(key, unasked=False) for key in (ANN, BEN, CAT)] == [True, False, False]
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.RIGHT
    assert not factors(home).require(CAT, OWN)
    assert not factors(home).unlock(CAT)


def test_whoever_is_answered_without_asking_gives_the_homes_code_or_their_own(home: Home) -> None:
    factors(home).require_unasked(HOUSE)
    factors(home).require(ANN, OWN)
    assert [factors(home).required(key, unasked=True) for key in (ANN, BEN, CAT)] == [True] * 3
    assert not factors(home).required(BEN, unasked=False)
    assert verdict(home, BEN, code(HOUSE), unasked=True) is CodeVerdict.RIGHT
    assert verdict(home, CAT, code(HOUSE), unasked=True) is CodeVerdict.USED, "one secret, one use"
    assert verdict(home, CAT, code(HOUSE, NOW + CODE_STEP_S), unasked=True) is CodeVerdict.RIGHT
    assert verdict(home, ANN, code(HOUSE, NOW - CODE_STEP_S), unasked=True) is CodeVerdict.WRONG
    assert verdict(home, ANN, code(OWN), unasked=True) is CodeVerdict.RIGHT


def test_a_code_that_was_used_is_used_after_a_restart(home: Home) -> None:
    factors(home).require(ANN, OWN)
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.RIGHT
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.USED


def test_a_lock_outlives_a_restart_and_locks_that_contact_alone(home: Home) -> None:
    factors(home).require(ANN, OWN)
    factors(home).require(BEN, HOUSE)
    for _ in range(FAILURES_TO_LOCK):
        assert verdict(home, ANN, b"no") is CodeVerdict.WRONG
    assert factors(home).locked_s(ANN, NOW) == FIRST_LOCK_S
    assert factors(home).locked_s(BEN, NOW) == 0
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.LOCKED
    assert verdict(home, BEN, code(HOUSE)) is CodeVerdict.RIGHT
    later = NOW + FIRST_LOCK_S
    assert verdict(home, ANN, code(OWN, later), later) is CodeVerdict.RIGHT


def test_strangers_are_counted_together_because_a_new_key_costs_nothing(home: Home) -> None:
    factors(home).require_unasked(HOUSE)
    for number in range(FAILURES_TO_LOCK):
        assert verdict(home, bytes([number]) * 32, b"no", unasked=True) is CodeVerdict.WRONG
    assert verdict(home, CAT, code(HOUSE), unasked=True) is CodeVerdict.LOCKED
    assert verdict(home, ANN, code(HOUSE), unasked=True) is CodeVerdict.RIGHT, (
        "a contact has a count of their own"
    )


def test_of_many_calls_with_one_code_one_is_let_in(home: Home) -> None:
    factors(home).require(ANN, OWN)
    verdicts: list[CodeVerdict] = []
    calls = [Thread(target=lambda: verdicts.append(verdict(home, ANN, code(OWN)))) for _ in range(8)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert sorted(verdicts) == [CodeVerdict.USED] * 7 + [CodeVerdict.RIGHT]


def test_of_many_processes_with_one_code_one_lets_in_and_what_it_told_outlives_a_kill(home: Home) -> None:
    factors(home).require(ANN, OWN)
    reader, writer = os.pipe()
    children = []
    for _ in range(6):
        child = os.fork()
        if not child:
            try:
                os.write(writer, bytes([verdict(home, ANN, code(OWN))]))
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        children.append(child)
    os.close(writer)
    for child in children:
        os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as told:
        assert sorted(told.read()) == [CodeVerdict.USED] * 5 + [CodeVerdict.RIGHT]
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.USED


def test_a_lock_that_was_told_outlives_a_kill(home: Home) -> None:
    factors(home).require(ANN, OWN)
    child = os.fork()
    if not child:
        try:
            for _ in range(FAILURES_TO_LOCK):
                verdict(home, ANN, b"no")
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert factors(home).locked_s(ANN, NOW) == FIRST_LOCK_S


def test_who_may_try_again_may_not_use_a_code_again(home: Home) -> None:
    factors(home).require(ANN, OWN)
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.RIGHT
    for _ in range(FAILURES_TO_LOCK):
        verdict(home, ANN, b"no")
    assert factors(home).unlock(ANN)
    assert factors(home).locked_s(ANN, NOW) == 0
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.USED


def test_a_new_secret_forgets_the_old_one_and_its_failures(home: Home) -> None:
    factors(home).require(ANN, OWN)
    for _ in range(FAILURES_TO_LOCK):
        verdict(home, ANN, b"no")
    factors(home).require(ANN, HOUSE)
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.WRONG
    assert verdict(home, ANN, code(HOUSE)) is CodeVerdict.RIGHT
    factors(home).require(ANN, None)
    assert not factors(home).required(ANN, unasked=False)


def test_factors_and_words_stay_with_a_contact_that_is_renamed_verified_blocked_or_rotated(
    home: Home,
) -> None:
    factors(home).require(ANN, OWN)
    factors(home).set_word(ANN, safe_word("blue giraffe"))
    contacts = Contacts(home)
    contacts.verify("ann", ANN)
    contacts.rename("ann", "anna")
    contacts.block("a" * 4 + "-aaaa" * 7, 1.0)
    assert factors(home).word(ANN) == SafeWord("blue giraffe")
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.RIGHT
    contacts.unblock("a" * 4 + "-aaaa" * 7)
    assert contacts.rotate(ANN, CAT) is not None
    assert (factors(home).word(ANN), factors(home).word(CAT)) == (None, SafeWord("blue giraffe"))
    assert verdict(home, CAT, code(OWN)) is CodeVerdict.USED
    contacts.remove("anna")
    assert factors(home).word(CAT) is None
    assert not factors(home).required(CAT, unasked=False)


KEEPS: dict[str, Callable[[Factors, bytes | None], object]] = {
    "contact": lambda kept, secret: kept.require(ANN, secret),
    "home": lambda kept, secret: kept.require_unasked(secret),
    "word": lambda kept, secret: kept.set_word(ANN, None if secret is None else SafeWord(secret.decode())),
}


@pytest.mark.parametrize("what", KEEPS)
def test_a_secret_or_a_word_that_is_replaced_or_taken_away_is_overwritten(home: Home, what: str) -> None:
    """Looked for with the key in hand, in all pages, free ones too; in the log of changes, while somebody reads."""
    keep, log = KEEPS[what], Path(f"{home.vault_path}-wal")
    listening = Factors(Vault(home))
    assert not listening.unasked()
    keep(listening, OWN)
    assert OWN in plaintext(home)
    for new, found in ((HOUSE, True), (None, False)):
        keep(listening, new)
        assert [OWN in plaintext(home), HOUSE in plaintext(home)] == [False, found]
        assert log.stat().st_size == 0


def test_no_secret_or_word_is_on_the_disk_in_the_clear_or_in_a_record(home: Home) -> None:
    factors(home).require(ANN, OWN)
    factors(home).require_unasked(HOUSE)
    factors(home).set_word(ANN, safe_word("blue giraffe"))
    verdict(home, ANN, b"no")
    contacts = Contacts(home)
    found = b"".join(path.read_bytes() for path in home.data.iterdir())
    found += repr((contacts.all(), contacts.export(), factors(home).word(ANN))).encode()
    assert not [secret for secret in (OWN, HOUSE, b"giraffe", b"ssss", b"c3Nz") if secret in found]


def test_a_wrong_code_makes_nobody_read_the_contacts_again(home: Home) -> None:
    contacts = Contacts(home)
    factors(home).require(ANN, OWN)
    before = contacts.stamp()
    assert verdict(home, ANN, b"no") is CodeVerdict.WRONG
    assert contacts.stamp() == before


DAMAGED_SECRETS: tuple[object, ...] = (b"", b"\x01short", b"\x02" + OWN, "\x01" + "s" * 20, 1)
DAMAGED_COUNTS: tuple[object, ...] = (
    b"",
    1,
    b"\x01",
    b"\x01" + bytes(11),
    b"\x01" + bytes(13),
    b"\x01" + bytes(12 + 65 * 8),
    b"\x01" + bytes(4) + b"\x7f\xf0" + bytes(6),
    b"\x02" + bytes(12),
)
DAMAGED_WORDS: tuple[object, ...] = (
    b"",
    b"\x01",
    b"\x01\xff\xfe\xfd\xfc",
    b"\x02blue giraffe",
    "blue giraffe",
)


@pytest.mark.parametrize("whose", ["contact", "home"])
@pytest.mark.parametrize(
    ("which", "blob"),
    [
        *((Secret.TOTP, blob) for blob in DAMAGED_SECRETS),
        *((Secret.TOTP_TALLY, blob) for blob in DAMAGED_COUNTS),
    ],
)
def test_a_factor_that_cannot_be_read_lets_nobody_in_and_nothing_is_changed(
    home: Home, which: Secret, blob: object, whose: str
) -> None:
    public = ANN if whose == "contact" else CAT
    if whose == "contact":
        factors(home).require(ANN, OWN)
    else:
        factors(home).require_unasked(OWN)
    with Vault(home).writing() as db:
        if whose == "contact":
            db.execute(f"UPDATE contacts SET {which} = ? WHERE key = ?", (blob, ANN))
        else:
            name = UNASKED if which is Secret.TOTP else UNASKED_TRIED
            db.execute("REPLACE INTO settings VALUES(?, ?)", (name, blob))
    before = plaintext(home)
    with pytest.raises(P2PCallError) as caught:
        factors(home).judge(public, code(OWN), NOW, unasked=True)
    assert (caught.value.exit, caught.value.slug) == (ExitCode.CONFIG, "damaged-file")
    assert plaintext(home) == before
    factors(home).require(ANN, OWN)
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.RIGHT, "a new secret mends it"


@pytest.mark.parametrize("blob", DAMAGED_WORDS)
def test_a_safe_word_that_cannot_be_read_is_an_error_that_does_not_repeat_it(
    home: Home, blob: object
) -> None:
    with Vault(home).writing() as db:
        db.execute("UPDATE contacts SET safe_word = ? WHERE key = ?", (blob, ANN))
    with pytest.raises(P2PCallError) as caught:
        factors(home).word(ANN)
    assert (caught.value.exit, caught.value.slug) == (ExitCode.CONFIG, "damaged-file")
    assert "giraffe" not in caught.value.text
    assert caught.value.__cause__ is None


def test_what_was_tried_is_read_as_it_was_kept() -> None:
    tried = Tried((1, 2**40), Tally(7, 1.5e9))
    assert parse_tried(packed_tried(tried)) == tried
    assert packed_tried(Tried()) is None


def test_a_plain_contact_has_neither(home: Home) -> None:
    assert Contacts(home).by_key(ANN) == Contact("ann", ANN, 1.0)
    assert factors(home).word(ANN) is None
    assert not factors(home).unasked()
    factors(home).require_unasked(None)


def test_nothing_is_made_before_there_is_something_to_keep(tmp_path: Path) -> None:
    nobody = Home.at(tmp_path / "new")
    assert not factors(nobody).required(ANN, unasked=True)
    assert factors(nobody).locked_s(ANN, NOW) == 0
    assert factors(nobody).judge(ANN, b"123456", NOW, unasked=True) is None
    assert factors(nobody).word(ANN) is None
    factors(nobody).require_unasked(None)
    assert not nobody.data.exists()
