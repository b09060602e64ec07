"""`id` and the commands below it, as a script runs them: no terminal, exit codes, one record each, no secrets."""

import json
import os
from pathlib import Path

import pytest
from clirun import BOB, assert_told, run

from p2pcall.cli import own_key, passphrase
from p2pcall.factor.safe_word import SafeWord
from p2pcall.store.contacts import Contacts
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home
from p2pcall.store.opener import IdentityOpener
from p2pcall.store.seal import Cost
from p2pcall.store.vault import Vault

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_key, "_cost", lambda: Cost(1, 8))


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A file with the passphrase."""
    return written(tmp_path / "passphrase", PASSPHRASE + "\nnotes\n")


def written(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.fixture
def sealed(home: Path, secret: str) -> Path:
    """A home whose key is sealed."""
    assert run("id", "passphrase", "--new-passphrase-file", secret).exit == 0
    return home


def keep_bob(sealed: Path) -> None:
    """Bob is a contact in the vault of a sealed home."""
    opener = IdentityOpener(lambda path: PASSPHRASE.encode())
    Contacts(Home(sealed, sealed, opener)).pin("bob", BOB, 1.0)


def printed(*argv: str) -> str:
    return str(run("id", "--json", *argv).rows[0]["fingerprint"])


def test_a_plain_key_is_told_as_plain(home: Path) -> None:
    assert run("id", "--json").rows[0]["kept"] == "plain"
    assert "plain: whoever can read this disk has your key" in run("id").out


def test_a_sealed_key_is_opened_by_a_file_or_a_command_the_file_first(
    sealed: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = run("id", "--json", "--passphrase-file", secret).rows[0]
    assert row["kept"] == "passphrase"
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", f"cat '{secret}'")
    assert run("id", "--json").rows == [row]
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", "echo wrong")
    assert run("id", "--json", "--passphrase-file", secret).rows == [row]
    assert_told(run("id"), 8, "not the passphrase")


@pytest.mark.parametrize(
    "argv",
    [
        *(("id",), ("contacts", "show", "bob"), ("id", "rotate"), ("id", "passphrase", "--remove")),
        *(("listen", "--audio-in", "none"), ("dial", "127.0.0.1"), ("id", "backup", "there")),
        *(("contacts", "list"), ("history", "list"), ("history", "erase", "--yes"), ("peers",)),
    ],
)
def test_without_a_terminal_nobody_is_asked_and_it_exits_with_8(sealed: Path, argv: tuple[str, ...]) -> None:
    keep_bob(sealed)
    before = (sealed / "identity.key").read_bytes()
    assert_told(run(*argv), 8, "there is no terminal", "--passphrase-file")
    assert (sealed / "identity.key").read_bytes() == before


def test_no_secret_is_told(sealed: Path, secret: str, tmp_path: Path) -> None:
    wrong = written(tmp_path / "wrong", "another passphrase\n")
    told = [run("id", "--json", "--passphrase-file", file) for file in (secret, wrong)]
    told.append(run("id", "rotate", "--json", "--passphrase-file", secret))
    shown = "".join(ran.out + ran.err for ran in told)
    assert PASSPHRASE not in shown
    assert "another" not in shown


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        *(("", 0o600, "empty"), ("\nsecond line\n", 0o600, "empty"), ("x" * 5000, 0o600, "longer")),
        *(("correct horse battery", 0o644, "other users"), (None, 0, "there is no file")),
    ],
)
def test_a_file_that_holds_no_passphrase_or_is_not_ours_alone_is_refused(
    sealed: Path, tmp_path: Path, text: str | None, mode: int, words: str
) -> None:
    file = tmp_path / "given"
    if text is not None:
        written(file, text, mode)
    assert_told(run("id", "--passphrase-file", str(file)), 8, words)


def test_a_file_in_a_place_that_others_can_write_is_refused(sealed: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    file = written(shared / "passphrase", PASSPHRASE)
    assert_told(run("id", "--passphrase-file", file), 8, "only you can write")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        *(
            ("false", "ended with status 1"),
            ("no-such-program-here", "cannot be run"),
            ("'", "cannot be run"),
        ),
        *(("true", "empty"), ("yes", "prints without end"), ("sh -c 'kill -9 $$'", "ended with status -9")),
    ],
)
def test_a_command_that_gives_no_passphrase_is_an_error(
    sealed: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", command)
    assert_told(run("id"), 8, "P2PCALL_PASSPHRASE_COMMAND" if words != "empty" else "first line", words)


def test_a_command_has_its_time(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "COMMAND_TIMEOUT_S", 0.05)
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", "sleep 1000")
    assert_told(run("id"), 8, "takes longer than 0.05 s")


def test_a_command_is_run_without_a_shell_and_without_our_input(
    sealed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", f"echo x > {trace}; echo $HOME")
    assert_told(run("id"), 8, "not the passphrase")
    assert not trace.exists()
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", "readlink /proc/self/fd/0")
    assert passphrase._from_command("readlink /proc/self/fd/0") == os.devnull.encode()


def test_the_passphrase_is_set_changed_and_removed(sealed: Path, secret: str, tmp_path: Path) -> None:
    who = printed("--passphrase-file", secret)
    other = written(tmp_path / "other", "battery staple\n")
    changed = run("id", "passphrase", "--passphrase-file", secret, "--new-passphrase-file", other, "--json")
    assert changed.rows == [{"v": 1, "fingerprint": who, "kept": "passphrase"}]
    assert_told(run("id", "--passphrase-file", secret), 8, "not the passphrase")
    assert_told(run("id", "passphrase", "--passphrase-file", secret, "--remove"), 8, "not the passphrase")
    removed = run("id", "passphrase", "--passphrase-file", other, "--remove", "--json")
    assert removed.rows == [{"v": 1, "fingerprint": who, "kept": "plain"}]
    assert printed() == who


def test_a_new_passphrase_needs_a_terminal_or_a_file(home: Path) -> None:
    assert_told(run("id", "passphrase"), 2, "--new-passphrase-file")
    assert run("id", "--json").rows[0]["kept"] == "plain"


def test_a_short_passphrase_is_refused(home: Path, tmp_path: Path) -> None:
    short = written(tmp_path / "short", "häßlich\n")
    assert_told(run("id", "passphrase", "--new-passphrase-file", short), 2, "at least 8 characters")
    assert run("id", "--json").rows[0]["kept"] == "plain"


def test_only_one_way_to_keep_the_key_can_be_given(home: Path, secret: str) -> None:
    for argv in (("--keyring", "--remove"), ("--remove", "--new-passphrase-file", secret)):
        assert run("id", "passphrase", *argv).exit == 2


def test_a_key_is_backed_up_and_restored_on_another_machine(
    sealed: Path, secret: str, tmp_path: Path
) -> None:
    keep_bob(sealed)
    file, own = str(tmp_path / "backup"), written(tmp_path / "own", "a passphrase of its own\n")
    argv = ("--passphrase-file", secret, "--new-passphrase-file", own, "--json")
    assert run("id", "backup", file, *argv).rows == [{"v": 1, "file": file, "contacts": 1}]
    assert_told(run("id", "backup", file, *argv[:-1]), 2, "is there already")
    there = str(tmp_path / "there")
    assert_told(run("id", "restore", file, "--home", there, "--passphrase-file", secret), 8, "not the pass")
    assert not Path(there).exists()
    (row,) = run("id", "restore", file, "--home", there, "--passphrase-file", own, "--json").rows
    assert (row["fingerprint"], row["contacts"], row["left_out"]) == (
        printed("--passphrase-file", secret),
        1,
        [],
    )
    given = ("--home", there, "--passphrase-file", own)
    assert printed(*given) == row["fingerprint"]
    assert [one["name"] for one in run("contacts", "list", "--json", *given).rows] == ["bob"]
    assert_told(run("id", "restore", file, "--home", there, "--passphrase-file", own), 2, "already")
    assert run("id", "restore", file, "--home", there, "--passphrase-file", own, "--force").exit == 0


def test_who_had_to_give_a_code_has_to_give_one_where_the_backup_is_restored(
    home: Path, secret: str, tmp_path: Path
) -> None:
    file, there = str(tmp_path / "backup"), tmp_path / "there"
    Contacts(Home.at(home)).pin("bob", BOB, 1.0)
    word = written(tmp_path / "word", "crimson heron")
    for argv in (
        ("require-code", "bob"),
        ("require-code", "--unasked"),
        ("safeword", "bob", "--word-file", word),
    ):
        assert run("contacts", *argv).exit == 0
    assert run("history", "keep", "0").exit == 0
    run("id", "backup", file, "--new-passphrase-file", secret)
    given = ("--home", str(there), "--passphrase-file", secret)
    assert run("id", "restore", file, *given).exit == 0
    opener = IdentityOpener(lambda path: PASSPHRASE.encode())
    factors = Factors(Vault(Home(there, there, opener)))
    assert factors.required(BOB, unasked=False)
    assert factors.required(bytes(32), unasked=True)
    assert factors.word(BOB) == SafeWord("crimson heron")
    assert "not logged" in run("history", "list", *given).out
    assert_told(run("contacts", "require-code", "bob", *given), 2, "has to give a code already")


def test_a_restoring_needs_nothing_of_the_key_that_it_replaces(
    sealed: Path, secret: str, tmp_path: Path
) -> None:
    """Whoever has forgotten the passphrase of the one still has the other."""
    file = str(tmp_path / "backup")
    run("id", "backup", file, "--passphrase-file", secret, "--new-passphrase-file", secret)
    (sealed / "identity.key").write_text("damaged")
    restored = run("id", "restore", file, "--passphrase-file", secret, "--force", "--json")
    assert restored.rows[0]["fingerprint"] == printed("--passphrase-file", secret)


def test_a_rotated_key_says_who_is_still_to_be_told(home: Path) -> None:
    first = printed()
    contacts = Contacts(Home.at(home))
    contacts.pin("bob", BOB, 1.0)
    (row,) = run("id", "rotate", "--json").rows
    assert (row["before"], row["untold"]) == (first, 1)
    assert run("id", "--json").rows[0]["untold"] == 1
    assert "to be told   1 of your contacts" in run("id").out
    assert_told(run("id", "rotate"), 8, "--abandon")
    assert run("id", "rotate", "--abandon", "--json").rows[0]["before"] == row["fingerprint"]


def test_a_blocked_contact_is_not_told(home: Path) -> None:
    contacts = Contacts(Home.at(home))
    contacts.pin("bob", BOB, 1.0)
    run("contacts", "block", "bob")
    assert run("id", "rotate", "--json").rows[0]["untold"] == 0


def test_an_error_is_an_event_for_scripts(sealed: Path) -> None:
    ran = run("id", "--json")
    assert json.loads(ran.out)["slug"] == "locked-identity"
    assert ran.exit == 8
