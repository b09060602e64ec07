"""`contacts export` and `import`: one sealed file, with exit codes and records, and no question without a terminal."""

import json
from pathlib import Path

import pytest
from clirun import BOB, EVE, assert_told, run

from p2pcall.cli import contacts_files
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint
from p2pcall.store.seal import Cost


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts_files, "tuned", lambda clock: Cost(1, 8))


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A file with the passphrase of the file."""
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "contacts.p2p")


@pytest.fixture
def there(tmp_path: Path) -> Contacts:
    """Another home, where Bob is somebody else and Eve is called Evelyn."""
    contacts = Contacts(Home.at(tmp_path / "there"))
    contacts.pin("Bob", bytes([5] * 32), 1)
    contacts.pin("evelyn", EVE, 1)
    return contacts


def listed(*argv: str) -> list[str]:
    return [str(row["name"]) for row in run("contacts", "list", "--json", *argv).rows]


def test_contacts_are_taken_to_another_machine(
    known: Contacts, secret: str, file: str, tmp_path: Path
) -> None:
    known.verify("bob", BOB)
    known.block(fingerprint(EVE), 1)
    ran = run("contacts", "export", file, "--new-passphrase-file", secret, "--json")
    assert ran.rows == [{"v": 1, "file": file, "contacts": 1, "blocked": 1}]
    other = ("--home", str(tmp_path / "other"))
    ran = run("contacts", "import", file, "--import-passphrase-file", secret, *other, "--json")
    (row,) = ran.rows
    made = row.pop("made")
    assert made > 1_700_000_000
    assert row == {
        "v": 1,
        "file": file,
        "ours": False,
        "added": ["bob"],
        "here": 0,
        "blocked": 1,
        "cleaned": [],
        "lowered": ["bob"],
        "left_out": [],
    }
    (bob, eve) = run("contacts", "list", "--json", *other).rows
    assert (bob["name"], bob["verified"], eve["blocked"]) == ("bob", False, True)


def test_ones_own_file_brings_back_the_marks(known: Contacts, secret: str, file: str) -> None:
    known.verify("bob", BOB)
    run("contacts", "export", file, "--new-passphrase-file", secret)
    known.remove("bob")
    ran = run("contacts", "import", file, "--import-passphrase-file", secret)
    assert (ran.exit, ran.out) == (0, "")
    assert "1 contact and 0 blocks added" in ran.err
    assert "nobody is verified" not in ran.err
    bob = known.by_name("bob")
    assert bob is not None
    assert bob.verified


def test_what_was_left_out_is_told_with_the_reason_and_exits_with_0(
    known: Contacts, there: Contacts, secret: str, file: str, tmp_path: Path
) -> None:
    known.pin("eve", EVE, 1)
    run("contacts", "export", file, "--new-passphrase-file", secret)
    other = ("--home", str(tmp_path / "there"))
    ran = run("contacts", "import", file, "--import-passphrase-file", secret, *other)
    assert (ran.exit, ran.out) == (0, "")
    assert f"left out: bob ({fingerprint(BOB)}): that name is kept with another key" in ran.err
    assert f"left out: eve ({fingerprint(EVE)}): that key is kept under the name evelyn" in ran.err
    assert "not made with your private key" in ran.err
    assert listed(*other) == ["Bob", "evelyn"]
    (row,) = run("contacts", "import", file, "--import-passphrase-file", secret, "--json", *other).rows
    assert [one["why"] for one in row["left_out"]] == ["name-taken", "key-kept"]
    assert row["left_out"][1] == {
        "name": "eve",
        "fingerprint": fingerprint(EVE),
        "why": "key-kept",
        "here": "evelyn",
    }


def test_a_name_of_escapes_reaches_no_terminal(
    known: Contacts, secret: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Contacts.export

    def hostile(self: Contacts) -> dict[str, object]:
        document = real(self)
        document["contacts"][0]["name"] = "b\u202e\x1b0;x\x07" + "b" * 10_000
        return document

    monkeypatch.setattr(Contacts, "export", hostile)
    run("contacts", "export", file, "--new-passphrase-file", secret)
    other = ("--home", str(tmp_path / "other"))
    ran = run("contacts", "import", file, "--import-passphrase-file", secret, *other)
    assert "cleaned, because no name is spelt as in the file: b0;xbbb" in ran.err
    assert not {"\x1b", "\x07", "\u202e"} & {*ran.err}
    assert len(ran.err) < 1000
    assert len(listed(*other)[0]) == 64


def test_a_file_that_is_there_is_not_overwritten_without_force(
    known: Contacts, secret: str, file: str
) -> None:
    Path(file).write_text("mine")
    assert_told(
        run("contacts", "export", file, "--new-passphrase-file", secret), 2, "is there already", "--force"
    )
    assert Path(file).read_text() == "mine"
    assert run("contacts", "export", file, "--new-passphrase-file", secret, "--force").exit == 0


def test_without_a_terminal_no_passphrase_is_asked_for(known: Contacts, secret: str, file: str) -> None:
    assert_told(run("contacts", "export", file), 2, "terminal", "--new-passphrase-file FILE")
    assert not Path(file).exists()
    run("contacts", "export", file, "--new-passphrase-file", secret)
    assert_told(run("contacts", "import", file), 8, "no terminal", "--import-passphrase-file FILE")


def test_a_wrong_passphrase_a_damaged_and_a_foreign_file_exit_with_8_and_change_nothing(
    known: Contacts, secret: str, file: str, tmp_path: Path
) -> None:
    run("contacts", "export", file, "--new-passphrase-file", secret)
    other = ("--home", str(tmp_path / "other"))
    wrong = tmp_path / "wrong"
    wrong.write_text("incorrect horse\n")
    wrong.chmod(0o600)
    argv = ("contacts", "import", file, *other, "--import-passphrase-file")
    assert_told(run(*argv, str(wrong)), 8, "not the passphrase")
    text = Path(file).read_text()
    for damaged in ("", text[:-10], text + text, "hello\n", json.dumps({"version": 1}), "\0" * 100):
        Path(file).write_text(damaged)
        assert_told(run(*argv, secret), 8)
    Path(file).unlink()
    assert_told(run(*argv, secret), 8, "no such file")
    assert not (tmp_path / "other" / "store.db").exists()


def test_the_command_that_gives_the_passphrase_opens_a_file_too(
    known: Contacts, secret: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("contacts", "export", file, "--new-passphrase-file", secret)
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", f"cat '{secret}'")
    assert run("contacts", "import", file, "--json").rows[0]["here"] == 1
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", "echo wrong")
    assert run("contacts", "import", file, "--json", "--import-passphrase-file", secret).exit == 0
    assert_told(run("contacts", "import", file), 8, "not the passphrase")
