"""A day of calls, and then every byte of what it has left on the disk: nothing about anybody is in the clear."""

import json
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from clear_text import files_below, found, of_address, of_bytes, of_key, of_text
from harness import P2P
from pairs import NO_MEDIA, Start, media, seconds_pass
from test_recording_agreed import QUESTION
from test_second_factor import program

from p2pcall.store.home import Home
from p2pcall.store.identity import Identity
from p2pcall.store.identity_file import replace_identity, under_passphrase
from p2pcall.store.seal import Cost

NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
ROUNDS = 12 if NIGHTLY else 1
"""How often the calls of the day are made."""
HERE = "127.77.88.99"
"""An address that no random bytes and no other program have."""
PASSPHRASE = b"correct horse battery"
CHEAP = Cost(1, 8)
FOLDERS = {
    "HOME": "user",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
    "XDG_CACHE_HOME": "cache",
    "XDG_RUNTIME_DIR": "runtime",
    "TMPDIR": "tmp",
}
SEEN = media("tone", video_in="test")
ENDS = ("hung-up", "missed", "no-answer", "declined", "verified", "hung up")
"""Words of entries in a log, long enough not to be there by chance."""


@dataclass
class Person:
    """Somebody with a machine of their own: folders, and a sealed identity."""

    p2p: Start
    name: str
    place: Path
    secrets: Path
    identity: Identity = field(init=False)
    environ: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environ = {variable: str(self.place / folder) for variable, folder in FOLDERS.items()}
        for folder in self.environ.values():
            Path(folder).mkdir(mode=0o700, parents=True)
        self.home = Home.locate(self.environ)
        private = os.urandom(32)
        with self.home.lock():
            replace_identity(self.home, under_passphrase(private, PASSPHRASE, os.urandom, CHEAP))
        self.identity = Identity.of(private)
        self.environ |= {"P2PCALL_HOME": "", "P2PCALL_PASSPHRASE_COMMAND": f"cat '{self.secrets}'"}

    def run(self, *argv: str, **where: object) -> P2P:
        return self.p2p(*argv, env=self.environ, **where)

    def done(self, *argv: str) -> P2P:
        """A command that ends by itself, well."""
        process = self.run(*argv)
        assert process.wait_exit() == 0, process.report()
        return process

    def listen(self, *options: str, **where: object) -> P2P:
        argv = ("listen", "--bind", HERE, "--port", "0", "--announce", "off", "--name", self.name)
        return self.run(*argv, *options, **where)

    def dial(self, target: str, *options: str, **where: object) -> P2P:
        return self.run("dial", "--bind", HERE, "--port", "0", "--name", self.name, target, *options, **where)


class Day:
    """The calls of a day, and all that nobody may read afterwards."""

    def __init__(self, p2p: Start, place: Path) -> None:
        place.mkdir()
        secrets = place / "passphrase"
        secrets.write_bytes(PASSPHRASE + b"\n")
        secrets.chmod(0o600)
        names = ("Bartholomew", "Wilhelmina", "Evangeline")
        self.bob, self.alice, self.carol = (
            Person(p2p, name, place / str(at), secrets) for at, name in enumerate(names)
        )
        self.people = (self.bob, self.alice, self.carol)
        self.ports: set[int] = set()
        self.words: set[str] = set(names)
        self.calls: set[str] = set()
        self.code = ""

    def target(self, listener: P2P) -> str:
        port = int(listener.wait_event("listening")["port"])
        self.ports.add(port)
        return f"{HERE}:{port}"

    def meet(self) -> None:
        """By a code."""
        inviting = self.bob.run("invite", "--json", "--name", self.bob.name, "--bind", HERE, "--port", "0")
        told = inviting.wait_event("invite")
        self.words.add(told["code"].partition("-")[2])
        self.ports.add(told["port"])
        argv = ("join", told["code"], f"{HERE}:{told['port']}", "--bind", HERE, "--name", self.alice.name)
        joining = self.alice.run(*argv, "--json")
        assert joining.wait_exit() == inviting.wait_exit() == 0, joining.report()

    def enrol(self) -> None:
        """Codes and safe words are set."""
        told = self.bob.done("contacts", "require-code", self.alice.name, "--json", "--new")
        secret = parse_qs(urlsplit(json.loads(told.stdout)["uri"]).query)["secret"][0]
        self.code = program(secret)
        self.words |= {secret, "crimson heron"}
        word = self.alice.secrets.with_name("word")
        word.write_text("crimson heron")
        for who, whom in ((self.bob, self.alice), (self.alice, self.bob)):
            who.done("contacts", "safeword", whom.name, "--word-file", str(word))

    def talk(self, listener: P2P, dialler: P2P) -> None:
        """A call that is up for a second, and hung up by who has dialled."""
        for process in (listener, dialler):
            self.calls.add(process.wait_event("connected")["call"])
        dialler.wait_event("stats")
        dialler.signal(signal.SIGTERM)
        assert dialler.wait_exit() == 0, dialler.report()
        listener.wait_event("ended")

    def calls_of_contacts(self) -> None:
        """With sound and picture, with a code; one that is missed; one whose listener is killed."""
        bob = self.bob.listen("--json", "--answer", "contacts", *SEEN)
        target = f"{self.bob.name}@{self.target(bob)}"
        self.talk(bob, self.alice.dial(target, "--json", "--pin-command", self.code, *SEEN))
        wrong = self.alice.dial(target, "--json", "--pin-command", "echo 000000", *NO_MEDIA)
        assert wrong.wait_exit() == 5, wrong.report()
        bob.wait_event("missed")
        bob.signal(signal.SIGTERM)
        assert bob.wait_exit() == 0, bob.report()

    def calls_of_strangers(self) -> None:
        """One is answered, one is missed."""
        bob = self.bob.listen("--json", "--reach", "anyone", "--answer", "anyone", *NO_MEDIA)
        self.talk(bob, self.carol.dial(self.target(bob), "--json", *NO_MEDIA))
        bob.signal(signal.SIGTERM)
        bob.wait_exit()
        bob = self.bob.listen("--json", "--reach", "anyone", "--answer", "never", *NO_MEDIA)
        carol = self.carol.dial(self.target(bob), "--json", *NO_MEDIA)
        assert carol.wait_exit() == 4, carol.report()
        bob.wait_event("missed")
        bob.signal(signal.SIGTERM)
        bob.wait_exit()

    def recorded_call(self) -> None:
        """Both are at terminals; who has dialled asks, and keeps the recording in the home."""
        self.bob.done("contacts", "require-code", self.alice.name, "--off")
        bob = self.bob.listen("--answer", "contacts", "--once", *SEEN, terminal=(100, 30))
        bob.wait_screen("port ")
        port = int(bob.screen_text.partition("port ")[2].split()[0])
        self.ports.add(port)
        target = f"{self.bob.name}@{HERE}:{port}"
        alice = self.alice.dial(target, "--json", *SEEN, terminal=(100, 30))
        self.calls.add(alice.wait_event("connected")["call"])
        alice.wait_event("stats")
        alice.send("r")
        bob.wait_screen(*QUESTION)
        seconds_pass(alice, 1)
        bob.send("y")
        alice.wait_event("recording", side="local", state="on")
        seconds_pass(alice, 2)
        alice.send("q")
        assert alice.wait_exit() == bob.wait_exit() == 0, alice.report()

    def change_keys(self) -> None:
        """Alice has a new key, which Bob learns in the next call; both back up."""
        self.alice.done("id", "rotate")
        bob = self.bob.listen("--json", "--answer", "contacts", *NO_MEDIA)
        self.talk(bob, self.alice.dial(f"{self.bob.name}@{self.target(bob)}", "--json", *NO_MEDIA))
        bob.wait_event("contact-rotated")
        bob.signal(signal.SIGTERM)
        bob.wait_exit()
        for one in self.people:
            argv = ("id", "backup", str(one.place / "backup"), "--force", "--new-passphrase-file")
            one.done(*argv, str(one.secrets))

    def wanted(self) -> dict[str, set[bytes]]:
        """All that must not be found, by what it is."""
        keys = {
            f"the {kind} key of {one.name}": set(forms)
            for one in self.people
            for kind, forms in (
                ("public", of_key(one.identity.public)),
                ("private", of_bytes(one.identity.private)),
            )
        }
        return {
            **keys,
            **{f"the word {word}": set(of_text(word)) for word in self.words},
            **{f"the call {call}": set(of_text(call)) for call in self.calls},
            **{f"an entry of a log, {word}": {word.encode()} for word in ENDS},
            "an address": set(of_address(HERE, self.ports)),
            "an unencrypted database": {b"SQLite format 3\0"},
        }

    def check(self) -> None:
        """Nothing is in the clear, and nobody else may read it."""
        assert found((one.place for one in self.people), self.wanted()) == []
        for one in self.people:
            for path in (*one.home.data.rglob("*"), one.home.data, one.home.config):
                if path.exists():
                    wanted = 0o700 if path.is_dir() else 0o600
                    assert stat.S_IMODE(path.stat().st_mode) == wanted, path


@pytest.fixture
def day(p2p: Start, tmp_path: Path) -> Iterator[Day]:
    """Nobody knows anybody yet."""
    made = Day(p2p, tmp_path / "people")
    yield made
    for one in made.people:
        shutil.rmtree(one.place)


@pytest.mark.terminal
def test_after_a_day_of_calls_nothing_on_the_disk_is_in_the_clear(day: Day) -> None:
    day.meet()
    for _ in range(ROUNDS):
        day.enrol()
        day.calls_of_contacts()
        day.calls_of_strangers()
        day.recorded_call()
    day.check()
    day.change_keys()
    day.check()
    names = {path.name for one in day.people for path in files_below(one.place)}
    assert {"identity.key", "store.db", "backup"} <= names
    assert any(name.endswith(".p2prec") for name in names)


def test_in_a_call_and_after_a_kill_nothing_on_the_disk_is_in_the_clear(day: Day) -> None:
    day.meet()
    day.enrol()
    bob = day.bob.listen("--json", "--answer", "contacts", *NO_MEDIA)
    target = f"{day.bob.name}@{day.target(bob)}"
    day.talk(bob, day.alice.dial(target, "--json", "--pin-command", day.code, *NO_MEDIA))
    day.enrol()  # a code works once
    alice = day.alice.dial(target, "--json", "--pin-command", day.code, *NO_MEDIA)
    for process in (alice, bob):
        day.calls.add(process.wait_event("connected")["call"])
    day.check()
    for process in (alice, bob):
        process.signal(signal.SIGKILL)
        process.wait_exit()
    names = {path.name for path in files_below(day.bob.place)}
    assert "store.db-wal" in names, "the log of changes is looked at, too"
    day.check()


def test_the_search_finds_what_is_in_the_clear_in_any_form(tmp_path: Path) -> None:
    key = bytes(range(32))
    wanted = {
        "key": set(of_key(key)),
        "name": set(of_text("Bartholomew")),
        "address": set(of_address(HERE, [5000])),
    }
    forms = [form for forms in wanted.values() for form in forms if len(form) > 6]
    assert len(forms) > 40
    for form in forms:
        (tmp_path / "file").write_bytes(b"before" + form + b"after")
        assert found([tmp_path], wanted), form
    (tmp_path / "file").write_bytes(os.urandom(1 << 16))
    assert found([tmp_path], wanted) == []
    (tmp_path / "Bartholomew.key").touch()
    assert found([tmp_path], wanted)
