"""What has a recording's or a key's name and is no file, or is gone in the same moment, stops no command."""

import os
from pathlib import Path

import pytest
from clirun import BOB, run

from p2pcall.cli import privacy
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.recordings import all_recordings, erase_recording, recordings_folder

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def place(home: Path) -> Home:
    """A recording, and beside it a pipe, a folder and a link that leads nowhere, with names like its own."""
    made = Home.at(home)
    Contacts(made).pin("bob", BOB, 1.0)
    folder = recordings_folder(made)
    folder.mkdir(mode=0o700)
    (folder / "true.p2prec").write_bytes(b"of another key")
    os.mkfifo(folder / "pipe.p2prec")
    (folder / "folder.p2prec").mkdir()
    (folder / "link.p2prec").symlink_to("/nonexistent/recording")
    return made


@pytest.mark.parametrize(
    "argv",
    [
        *(("privacy",), ("privacy", "--json"), ("privacy", "export"), ("privacy", "bundle"), ("play",)),
        ("privacy", "erase", "--contact", "bob", "--yes"),
    ],
)
def test_what_is_no_file_stops_no_command_that_looks_at_recordings(
    place: Home, argv: tuple[str, ...]
) -> None:
    ran = run(*argv)
    assert ran.exit == ExitCode.OK, ran.err


def test_only_files_are_recordings(place: Home) -> None:
    assert [path.name for path in all_recordings(place)] == ["true.p2prec"]


def test_an_erasure_of_all_waits_for_no_pipe(place: Home) -> None:
    place.identity_path.unlink()
    os.mkfifo(place.identity_path)
    assert run("privacy", "erase", "--all", "--yes").exit == ExitCode.OK
    assert [path.name for path in place.data.rglob("*")] == ["recordings", "folder.p2prec"]


def test_a_recording_that_another_process_has_erased_is_erased(place: Home) -> None:
    erase_recording(recordings_folder(place) / "gone.p2prec")


def test_the_overview_lists_a_recording_that_is_too_old_and_cannot_be_erased(
    place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recordings_folder(place) / "true.p2prec"

    def read_only(path: Path) -> None:
        raise P2PCallError("read-only", "cannot erase", ExitCode.CONFIG)

    monkeypatch.setattr(privacy, "expired", lambda home, now: [path])
    monkeypatch.setattr(privacy, "erase_recording", read_only)
    ran = run("privacy", "--json")
    assert ran.exit == ExitCode.OK, ran.err
    assert str(path) in next(row["where"] for row in ran.rows if row["kind"] == "recordings")
