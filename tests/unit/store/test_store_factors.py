"""Second factors and safe words on disk: who has to give a code, what is kept of it, and what an older program does."""

import json
from pathlib import Path
from threading import Thread

import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.factor.passcode import (
    CODE_STEP_S,
    FAILURES_TO_LOCK,
    FIRST_LOCK_S,
    CodeVerdict,
    Passcode,
    code_at,
)
from p2pcall.factor.safe_word import SafeWord, safe_word
from p2pcall.store.contacts import Contact, Contacts
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home, write_atomic

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
    return Factors(Contacts(home))


def code(secret: bytes, epoch: float = NOW) -> bytes:
    return code_at(secret, int(epoch // CODE_STEP_S))


def verdict(
    home: Home, public: bytes, given: bytes, epoch: float = NOW, *, unasked: bool = False
) -> CodeVerdict:
    judged = factors(home).judge(public, given, epoch, unasked=unasked)
    assert judged is not None
    return judged.verdict


def test_nobody_has_to_give_a_code_until_it_is_required(home: Home) -> None:
    kept = home.contacts_path.read_bytes()
    assert not any(factors(home).required(key, unasked=True) for key in (ANN, BEN, CAT))
    assert factors(home).judge(ANN, b"123456", NOW, unasked=True) is None
    assert home.contacts_path.read_bytes() == kept


def test_a_code_is_required_of_the_chosen_contact_alone(home: Home) -> None:
    assert factors(home).require("Ann", OWN) is not None
    assert [factors(home).required(key, unasked=False) for key in (ANN, BEN, CAT)] == [True, False, False]
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.RIGHT
    assert factors(home).require("nobody", OWN) is None


def test_whoever_is_answered_without_asking_gives_the_homes_code_or_their_own(home: Home) -> None:
    factors(home).require_unasked(HOUSE)
    factors(home).require("ann", OWN)
    assert [factors(home).required(key, unasked=True) for key in (ANN, BEN, CAT)] == [True] * 3
    assert not factors(home).required(BEN, unasked=False)
    assert verdict(home, BEN, code(HOUSE), unasked=True) is CodeVerdict.RIGHT
    assert verdict(home, CAT, code(HOUSE), unasked=True) is CodeVerdict.USED, "one secret, one use"
    assert verdict(home, CAT, code(HOUSE, NOW + CODE_STEP_S), unasked=True) is CodeVerdict.RIGHT
    assert verdict(home, ANN, code(HOUSE, NOW - CODE_STEP_S), unasked=True) is CodeVerdict.WRONG
    assert verdict(home, ANN, code(OWN), unasked=True) is CodeVerdict.RIGHT


def test_a_code_that_was_used_is_used_after_a_restart(home: Home) -> None:
    factors(home).require("ann", OWN)
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.RIGHT
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.USED


def test_a_lock_outlives_a_restart_and_locks_that_contact_alone(home: Home) -> None:
    factors(home).require("ann", OWN)
    factors(home).require("ben", HOUSE)
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
    factors(home).require("ann", OWN)
    verdicts: list[CodeVerdict] = []
    calls = [Thread(target=lambda: verdicts.append(verdict(home, ANN, code(OWN)))) for _ in range(8)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert sorted(verdicts) == [CodeVerdict.USED] * 7 + [CodeVerdict.RIGHT]


def test_a_new_secret_forgets_the_old_one_and_its_failures(home: Home) -> None:
    factors(home).require("ann", OWN)
    for _ in range(FAILURES_TO_LOCK):
        verdict(home, ANN, b"no")
    factors(home).require("ann", HOUSE)
    assert verdict(home, ANN, code(OWN)) is CodeVerdict.WRONG
    assert verdict(home, ANN, code(HOUSE)) is CodeVerdict.RIGHT
    factors(home).require("ann", None)
    assert not factors(home).required(ANN, unasked=False)


def test_factors_and_words_stay_with_a_contact_that_is_renamed_verified_or_blocked(home: Home) -> None:
    factors(home).require("ann", OWN)
    factors(home).set_word("ann", safe_word("blue giraffe"))
    contacts = Contacts(home)
    contacts.verify("ann", ANN)
    contacts.rename("ann", "anna")
    contacts.block("a" * 4 + "-aaaa" * 7, 1.0)
    contact = Contacts(home).by_key(ANN)
    assert contact is not None
    assert (contact.code, contact.safe_word) == (Passcode(OWN), SafeWord("blue giraffe"))
    assert factors(home).word(ANN) == SafeWord("blue giraffe")
    contacts.remove("anna")
    assert b"giraffe" not in home.contacts_path.read_bytes()
    assert factors(home).word(ANN) is None


def test_an_older_program_refuses_the_file_instead_of_letting_people_ring_without_a_code(home: Home) -> None:
    assert json.loads(home.contacts_path.read_bytes())["version"] == 1
    factors(home).require_unasked(HOUSE)
    assert json.loads(home.contacts_path.read_bytes())["version"] == 3
    factors(home).require_unasked(None)
    assert json.loads(home.contacts_path.read_bytes())["version"] == 1
    factors(home).set_word("ben", safe_word("blue giraffe"))
    assert json.loads(home.contacts_path.read_bytes())["version"] == 3


def test_no_repr_shows_a_secret_or_a_word(home: Home) -> None:
    factors(home).require("ann", OWN)
    factors(home).require_unasked(HOUSE)
    factors(home).set_word("ann", safe_word("blue giraffe"))
    shown = repr(Contacts(home).book())
    assert not [secret for secret in ("ssss", "hhhh", "giraffe") if secret in shown]


DAMAGED_CODES = (
    {"code": "x"},
    {"code": {"secret": "AAAA", "used": []}},
    {"code": {"secret": "*", "used": []}},
    {"code": {"secret": "A" * 27 + "=", "used": [-1]}},
    {"code": {"secret": "A" * 27 + "=", "used": [True]}},
    {"code": {"secret": "A" * 27 + "=", "used": [1] * 65}},
    {"failures": {"count": -1, "locked_until": 0}},
    {"failures": {"count": 1, "locked_until": 10**400}},
    {"failures": []},
)
DAMAGED_WORDS = (
    {"safe_word": 1},
    {"safe_word": "x"},
)


@pytest.mark.parametrize(
    ("fields", "whose"),
    [(fields, "home") for fields in DAMAGED_CODES]
    + [(fields, "contact") for fields in (*DAMAGED_CODES, *DAMAGED_WORDS)],
)
def test_a_damaged_factor_is_an_error_and_nothing_is_changed(
    home: Home, fields: dict[str, object], whose: str
) -> None:
    document = json.loads(home.contacts_path.read_bytes()) | {"version": 3, "blocked": [], "unasked": {}}
    (document["contacts"][0] if whose == "contact" else document["unasked"]).update(fields)
    damaged = json.dumps(document).encode()
    write_atomic(home.contacts_path, damaged)
    with pytest.raises(P2PCallError) as caught:
        Contacts(home).all()
    assert (caught.value.exit, caught.value.slug) == (ExitCode.CONFIG, "damaged-file")
    assert home.contacts_path.read_bytes() == damaged


def test_a_file_without_its_part_about_codes_is_damaged(home: Home) -> None:
    document = json.loads(home.contacts_path.read_bytes()) | {"version": 3, "blocked": [], "unasked": 1}
    write_atomic(home.contacts_path, json.dumps(document).encode())
    with pytest.raises(P2PCallError):
        Contacts(home).all()


def test_a_plain_contact_has_neither(home: Home) -> None:
    assert Contacts(home).by_key(ANN) == Contact("ann", ANN, 1.0)
