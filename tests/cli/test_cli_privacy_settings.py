"""`p2pcall privacy settings`: each switch in a sentence, what it is and since when, and what a choice gives away."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from clirun import BOB, assert_told, run

from p2pcall.cli import options
from p2pcall.cli.privacy_settings import BY_NAME, ELSEWHERE, SWITCHES, Switch
from p2pcall.cli.shown_name import shown_name
from p2pcall.engine.policy import NEUTRAL_NAME
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.choices import kept_reach
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.vault import Vault

COLUMNS = 80
DAY_S = 86_400


def value(name: str) -> tuple[object, str]:
    """What counts now, and where it comes from."""
    (row,) = run("privacy", "settings", name, "--json").rows
    return row["value"], row["source"]


def some_of(switch: Switch) -> list[str | int]:
    """Its values; of the numbers of days the ends and one between."""
    values = [*switch.values]
    return values if isinstance(values[0], str) else [values[0], values[7], values[-1]]


def test_each_switch_has_a_sentence_and_its_default_and_nothing_is_made(home: Path) -> None:
    rows = run("privacy", "settings", "--json").rows
    assert [row["switch"] for row in rows] == [*BY_NAME, *ELSEWHERE]
    assert {row["source"] for row in rows} == {"default"}
    told = run("privacy", "settings").out
    for row in rows:
        assert row.keys() == {"v", "switch", "value", "source", "choices", "means"}
        assert row["means"].endswith(".")
        assert row["means"].count(". ") == 0
        assert row["means"] in told
    assert max(map(len, told.splitlines())) <= COLUMNS
    assert not home.exists()


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_each_value_can_be_chosen_and_taken_back(home: Path, switch: Switch) -> None:
    for wanted in some_of(switch):
        assert run("privacy", "settings", switch.name, str(wanted)).exit == 0
        assert value(switch.name) == (wanted, "stored")
    assert run("privacy", "settings", switch.name, "default").exit == 0
    assert value(switch.name) == (switch.default, "default")
    assert run("privacy", "settings", switch.name, "default").exit == 0


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_a_choice_that_is_less_private_says_what_it_gives_away(home: Path, switch: Switch) -> None:
    run("privacy", "settings", switch.name, str(switch.values[0]))
    for wanted in some_of(switch)[1:]:
        told = run("privacy", "settings", switch.name, str(wanted)).err
        assert f"less private than before: {switch.cost(wanted)}" in told
        assert "less private" not in run("privacy", "settings", switch.name, str(wanted)).err, (
            "it is as before"
        )
    for wanted in reversed(some_of(switch)[:-1]):
        assert "less private" not in run("privacy", "settings", switch.name, str(wanted)).err


def test_to_let_strangers_ring_for_ever_is_less_private_than_not_to_have_chosen(home: Path) -> None:
    assert value("reach") == ("anyone", "default")
    assert "less private than before: strangers" in run("privacy", "settings", "reach", "anyone").err


def test_contacts_alone_can_ring_once_there_are_any_if_nothing_was_chosen(home: Path) -> None:
    Contacts(Home.at(home)).pin("bob", BOB, 1_700_000_000)
    Home.at(home).settings_path.unlink()
    assert value("reach") == ("contacts", "default")
    run("privacy", "settings", "reach", "anyone")
    assert kept_reach(Home.at(home)) == "anyone"
    run("privacy", "settings", "reach", "default")
    assert kept_reach(Home.at(home)) is None


def test_how_long_calls_are_kept_has_one_home_with_the_history(home: Path) -> None:
    run("history", "keep", "9")
    assert value("keep-calls") == (9, "stored")
    log = CallLog(Vault(Home.at(home)))
    log.add(LoggedCall(1_700_000_000.0, True, "bob", "x", "contact", 1.0, "eof"))
    assert run("privacy", "settings", "keep-calls", "0").err == "keep-calls is 0 from now on; 1 erased\n"
    assert "not logged" in run("history", "list").out


def test_what_the_environment_sets_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert value("debug") == ("off", "default")
    monkeypatch.setenv("P2PCALL_DEBUG", "1")
    assert value("debug") == ("on", "environment")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_set_elsewhere_says_where(home: Path, name: str) -> None:
    assert_told(run("privacy", "settings", name, "on"), 2, ELSEWHERE[name][1])
    assert ELSEWHERE[name][1] in run("privacy", "settings", name).out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["reach", "nobody"], ["contacts or anyone"]),
        (["announce", "ON"], ["off, contacts or public"]),
        (["keep-calls", "31"], ["from 0 to 30"]),
        (["keep-recordings", "0"], ["from 1 to 30"]),
        (["keep-calls", "x"], ["from 0 to 30"]),
        (["nonsense\x1b[2J"], ["reach, announce"]),
        (["nonsense", "on"], ["reach, announce"]),
    ],
)
def test_a_choice_that_is_none_changes_nothing_and_tells_the_choices(
    home: Path, argv: list[str], words: list[str]
) -> None:
    ran = run("privacy", "settings", *argv)
    assert_told(ran, 2, *words)
    assert "\x1b" not in ran.err
    assert not home.exists()


def test_a_script_gets_the_switch_that_it_has_changed(home: Path) -> None:
    ran = run("privacy", "settings", "announce", "off", "--json")
    (row,) = ran.rows
    assert (row["switch"], row["value"], row["source"]) == ("announce", "off", "stored")
    assert ran.err == "announce is off from the next listen on\n"


def test_a_damaged_vault_is_told_and_left_alone(home: Path) -> None:
    run("privacy", "settings", "answer", "never")
    (home / "store.db").write_bytes(b"x" * 9000)
    for argv in ([], ["answer", "ask"]):
        assert_told(run("privacy", "settings", *argv), 8, str(home / "store.db"))
    assert (home / "store.db").read_bytes() == b"x" * 9000


def test_whoever_shows_no_name_has_none_in_what_is_told_to_others(home: Path) -> None:
    def account(*argv: str) -> str:
        """Under which name an authenticator app shows us."""
        uri = run("contacts", "require-code", "--unasked", *argv, "--json").rows[0]["uri"]
        return unquote(uri.partition("p2pcall:")[2].partition("?")[0])

    login = options.own_name(None)
    assert (account(), shown_name(Home.at(home))) == (login, login)
    assert login != NEUTRAL_NAME
    run("privacy", "settings", "show-name", "off")
    assert (account("--new"), shown_name(Home.at(home))) == (NEUTRAL_NAME, NEUTRAL_NAME)
    assert shown_name(Home.at(home), "jan") == "jan"
