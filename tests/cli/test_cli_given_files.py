"""Files that the user names, and that are not the program's: none is replaced, and nobody is told to move one away."""

import os
from pathlib import Path

import pytest
from clirun import assert_told, run

from p2pcall.cli import contacts_files, own_key
from p2pcall.store.seal import Cost


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A file with a passphrase."""
    file = tmp_path / "secret"
    file.write_text("correct horse battery\n")
    file.chmod(0o600)
    return str(file)


@pytest.mark.parametrize(
    "argv", [("contacts", "import", "--import-passphrase-file"), ("id", "restore", "--passphrase-file")]
)
def test_a_wrong_file_is_not_to_be_moved_away(
    home: Path, tmp_path: Path, secret: str, argv: tuple[str, ...]
) -> None:
    thesis = tmp_path / "thesis"
    thesis.write_text("another file")
    ran = run(*argv, secret, str(thesis))
    assert_told(ran, 8, "nothing was changed", "give another file")
    assert "mv " not in ran.err


def test_a_pipe_that_should_have_a_passphrase_is_not_to_be_moved_away(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    ran = run("id", "passphrase", "--new-passphrase-file", str(tmp_path / "pipe"))
    assert_told(ran, 8, "is not a file")
    assert "mv " not in ran.err


@pytest.mark.parametrize("argv", [("id", "backup"), ("contacts", "export")])
def test_a_link_that_leads_nowhere_is_not_replaced(
    home: Path, tmp_path: Path, secret: str, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    monkeypatch.setattr(own_key, "_cost", lambda: Cost(1, 8))
    monkeypatch.setattr(contacts_files, "tuned", lambda timer: Cost(1, 8))
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    assert_told(run(*argv, "--new-passphrase-file", secret, str(link)), 2, "is there already")
    assert link.is_symlink()
