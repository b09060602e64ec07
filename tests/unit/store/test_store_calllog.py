"""The call log and its retention: who, when, how long, how it ended; for 30 days at most, and then for nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from test_store_vault import plaintext

from p2pcall.store import calllog, retention
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.consent_log import Consent, keep_consent, kept_consents
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.recordings import DAY_S
from p2pcall.store.requests import CallRequest, CallRequests
from p2pcall.store.retention import enforce, keep_days, kept_days
from p2pcall.store.vault import Vault

NOW = 1_800_000_000.0
BOB = LoggedCall(NOW, True, "bob", "bob's", "contact", 61.5, "hung-up")
STRANGER = LoggedCall(NOW, False, "mallory", "mallory's", "new", 0.0, "missed")


@pytest.fixture
def vault(home: Path) -> Iterator[Vault]:
    made = Vault(Home.at(home))
    yield made
    made.close()


@pytest.fixture
def log(vault: Vault) -> CallLog:
    return CallLog(vault)


def ago(days: float) -> LoggedCall:
    return replace(BOB, at=NOW - days * DAY_S, name=f"bob {days}")


def test_the_newest_calls_come_first(log: CallLog) -> None:
    for days in (2, 1, 3):
        log.add(ago(days))
    assert log.newest(NOW) == [ago(1), ago(2), ago(3)]
    assert log.newest(NOW, 2) == [ago(1), ago(2)]
    assert log.count() == 3


def test_a_count_of_all_calls_looks_at_no_single_one(vault: Vault, log: CallLog) -> None:
    steps = []
    with vault.writing() as db:
        values = ((NOW, True, "bob", "bob's", "contact", 1.0, "hung-up", 1) for _ in range(2000))
        columns = "at, outgoing, name, fingerprint, known, duration_s, reason, calls"
        db.executemany(f"INSERT INTO calls({columns}) VALUES(?, ?, ?, ?, ?, ?, ?, ?)", values)
    with vault.reading() as connection:
        assert connection is not None
        connection.set_progress_handler(lambda: bool(steps.append(1)), 1)
        assert log.count() == 2000
    assert len(steps) < 100


def test_an_entry_has_who_when_how_long_and_how_it_ended_and_nothing_else(log: CallLog) -> None:
    log.add(BOB)
    assert log.newest(NOW) == [BOB]
    fields = {"at", "outgoing", "name", "fingerprint", "known", "duration_s", "reason", "calls"}
    assert set(LoggedCall.__struct_fields__) == fields


def test_calls_are_kept_for_30_days_and_then_overwritten(vault: Vault, log: CallLog, home: Path) -> None:
    for days in (29.9, 30.1, 31):
        log.add(ago(days))
    assert kept_days(vault) == retention.MAX_DAYS == 30
    assert log.newest(NOW) == [ago(29.9)], "what is too old is not shown"
    assert b"bob 30.1" in plaintext(Home.at(home))
    assert enforce(vault, NOW) == 2
    assert log.count() == 1
    found = plaintext(Home.at(home))
    assert b"bob 29.9" in found
    assert b"bob 3" not in found


def test_nothing_is_written_when_nothing_is_too_old(vault: Vault, log: CallLog, home: Path) -> None:
    log.add(ago(1))
    assert log.count() == 1
    stamp = vault.stamp()
    assert enforce(vault, NOW) == 0
    assert vault.stamp() == stamp


def test_fewer_days_are_kept_at_once_and_0_keeps_none(vault: Vault, log: CallLog, home: Path) -> None:
    for days in (1, 5):
        log.add(ago(days))
    assert keep_days(vault, 2, NOW) == 1
    assert log.newest(NOW) == [ago(1)]
    assert keep_days(vault, 0, NOW) == 1
    log.add(BOB)
    assert (log.count(), log.newest(NOW)) == (0, [])
    assert b"bob" not in plaintext(Home.at(home))
    assert keep_days(vault, 30, NOW) == 0
    log.add(BOB)
    assert log.newest(NOW) == [BOB]


@pytest.mark.parametrize("days", [-1, 31])
def test_nobody_keeps_calls_for_longer(vault: Vault, days: int) -> None:
    with pytest.raises(ValueError, match="30"):
        keep_days(vault, days, NOW)


def test_an_entry_from_the_future_does_not_stay_for_ever(vault: Vault, log: CallLog) -> None:
    log.add(ago(-400))
    assert enforce(vault, NOW) == 0
    assert [call.at for call in log.newest(NOW)] == [NOW]
    assert enforce(vault, NOW + 30 * DAY_S) == 1


def test_requests_are_kept_for_a_week_and_consents_as_long_as_calls(vault: Vault) -> None:
    rung = [CallRequest(bytes([day] * 32), "x", NOW - day * DAY_S - 1, NOW) for day in range(40)]
    CallRequests(vault).add(rung)
    for day in range(40):
        keep_consent(vault, Consent(NOW - day * DAY_S - 1, "c", "bob", "x", "sound", "given", "local"))
    enforce(vault, NOW)
    with vault.reading() as db:
        assert db is not None
        assert db.execute("SELECT count(*) FROM requests").fetchall() == [(7,)]
    kept = kept_consents(vault)
    assert len(kept) == 30
    assert kept[0] == Consent(NOW - 1, "c", "bob", "x", "sound", "given", "local")


def test_unanswered_strangers_are_one_entry_an_hour(log: CallLog) -> None:
    log.add(BOB)
    for second in range(0, 7200, 600):
        log.add(replace(STRANGER, at=NOW + second, name=f"m{second}", calls=2))
    first, second = (
        replace(STRANGER, name="m0", calls=12),
        replace(STRANGER, at=NOW + 3600, name="m3600", calls=12),
    )
    assert log.newest(NOW + 7200) == [second, first, BOB]


def test_a_contacts_call_and_an_answered_one_are_never_summed_up(log: CallLog) -> None:
    calls = [
        replace(STRANGER, known="contact"),
        replace(STRANGER, known="verified"),
        replace(STRANGER, duration_s=1.0),
        replace(STRANGER, outgoing=True),
    ]
    for number, call in enumerate([*calls, *calls]):
        log.add(replace(call, at=NOW + number))
    assert log.count() == 8


def test_the_log_has_a_bound_and_the_oldest_goes(log: CallLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calllog, "MAX_CALLS", 3)
    for days in (2, 9, 1, 5):
        log.add(ago(days))
    assert log.newest(NOW) == [ago(1), ago(2), ago(5)]


def test_one_persons_calls_can_be_erased(vault: Vault, log: CallLog) -> None:
    Contacts(vault.home, vault).pin("eve", bytes(32), 0)
    log.add(BOB)
    log.add(replace(BOB, name="eve", fingerprint="eve's"))
    assert log.count("eve's") == 1
    assert log.erase("eve's") == 1
    assert log.erase("eve's") == 0
    assert log.newest(NOW) == [BOB]


def test_a_long_log_is_listed_without_reading_it_all(vault: Vault, log: CallLog) -> None:
    """The newest are found by the index: SQLite neither sorts nor looks at each."""
    log.add(BOB)
    with vault.reading() as db:
        assert db is not None
        query = f"SELECT {calllog._COLUMNS} FROM calls WHERE at > 0 ORDER BY at DESC, id DESC LIMIT 5"
        plan = " ".join(str(row) for row in db.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "USING INDEX calls_at" in plan
    assert "TEMP B-TREE" not in plan
