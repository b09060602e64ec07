"""What was written from p2pcall-protocol(7) alone calls a real listener and is called: both patterns, both suites.

It lives in `tests/second`, is a process of its own, and imports nothing of the package, which is held here as well.
"""

import ast
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import P2P, ROOT
from pairs import Start, dialling, identity, knows, listening, media
from sound import Samples, follow, from_pcm, read_wav, speech, to_pcm, write_wav

from p2pcall.codec.opus import OpusDecoder, OpusEncoder
from p2pcall.errors import ExitCode
from p2pcall.media.constants import FRAME_BYTES
from p2pcall.proto.handshake.noise import KeyPair, aes_available
from p2pcall.proto.wire import Suites
from p2pcall.store.identity import fingerprint

SECOND = ROOT / "tests" / "second"
SECONDS = 2.5
FRAMES = int(SECONDS * 50)
NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
BOTH = Suites.CHACHAPOLY | Suites.AESGCM
CALLS = [("XXhfs", BOTH), ("IKhfs", Suites.CHACHAPOLY)]
"""By day each pattern and each choice of suites once."""
if NIGHTLY:
    CALLS += [("XXhfs", Suites.CHACHAPOLY), ("IKhfs", BOTH)]
LIKE = 0.8
"""How alike most of a recording is to what was said: 0.95 after the codec; something else that is said has 0.44."""
GIVE_UP = ("--give-up", "2")
FAILED = 8
"""The reason of a HANGUP."""
HERS = speech(SECONDS, seed=7)
HIS = speech(SECONDS, seed=8)


def encoded(samples: Samples) -> list[bytes]:
    """Opus frames of 20 ms."""
    pcm, encoder = to_pcm(samples), OpusEncoder()
    return [encoder.encode(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES)]


def decoded(lines: str) -> Samples:
    """The sound of Opus frames in hexadecimal."""
    decoder = OpusDecoder()
    return from_pcm(b"".join(decoder.decode(bytes.fromhex(line)) for line in lines.split()))


def likeness(said: Samples, recording: Samples) -> float:
    """Of the middle one of the pieces of half a second, in the order of likeness."""
    found = sorted(match.likeness for match in follow(said, recording))
    return found[len(found) // 2]


@dataclass(frozen=True, slots=True)
class Carol:
    """Who has the second implementation."""

    place: Path
    static: KeyPair

    def dial(self, p2p: Start, target: str, *options: str) -> P2P:
        """She calls."""
        return self._run(p2p, "caller.py", *target.split(":"), *options)

    def listen(self, p2p: Start, *options: str) -> tuple[P2P, str]:
        """She waits for a call; and what to dial."""
        process = self._run(p2p, "called.py", *options)
        return process, f"127.0.0.1:{process.wait_event('listening')['port']}"

    def _run(self, p2p: Start, script: str, *options: str) -> P2P:
        """A process of hers, which sees nothing of the package."""
        voice = self.place / "voice.hex"
        voice.write_text("".join(f"{frame.hex()}\n" for frame in encoded(HERS)))
        return p2p(
            *("--static", self.static.private.hex(), "--voice", str(voice)),
            *("--heard", str(self.place / "heard.hex"), *options),
            program=(sys.executable, str(SECOND / script)),
            env={"PYTHONPATH": ""},
            name="carol",
        )

    @property
    def heard(self) -> Samples:
        """What she heard."""
        return decoded((self.place / "heard.hex").read_text())


@pytest.fixture
def carol(tmp_path: Path) -> Carol:
    return Carol(tmp_path, KeyPair.generate(os.urandom))


@pytest.mark.parametrize(("pattern", "suite"), CALLS)
def test_it_calls_and_is_understood(p2p: Start, tmp_path: Path, pattern: str, suite: Suites) -> None:
    def judge(likeness: dict[str, float]) -> None:
        assert likeness["hers"] > LIKE
        assert likeness["his"] > LIKE

    judge(both_talk(p2p, tmp_path, pattern, suite))


def both_talk(p2p: Start, place: Path, pattern: str, suite: Suites) -> dict[str, float]:
    """She calls, both say something that can be known again, she hangs up; how alike it was to what was heard."""
    carol = Carol(place, KeyPair.generate(os.urandom))
    write_wav(place / "his.wav", HIS)
    bobs = media(audio_in=place / "his.wav", audio_out=place / "hers.wav")
    expected = identity(place, "bob").public.hex()
    if pattern == "IKhfs":
        knows(place, "bob", "carol", carol.static.public)
    bob, target = listening(p2p, "--answer", "anyone", using=bobs)
    known = ("--expect", expected) if pattern == "IKhfs" else ()
    hers = carol.dial(p2p, target, "--offer", str(int(suite)), "--new-keys-at", "40", *known)
    connected, seen = hers.wait_event("connected"), bob.wait_event("connected")
    aead = "AESGCM" if Suites.AESGCM in suite and aes_available() else "ChaChaPoly"
    assert connected["protocol"] == seen["protocol"] == f"Noise_{pattern}_25519+MLKEM768_{aead}_SHA256"
    assert connected["words"] == seen["sas"]
    assert (connected["call"], connected["remote"]) == (seen["call"], expected)
    assert (seen["name"], seen["fingerprint"]) == ("carol", fingerprint(carol.static.public))
    assert hers.wait_event("accepted")["name"] == "bob"
    ended = hers.wait_event("ended")
    assert hers.wait_exit() == 0, hers.report()
    assert ended["imported"] == []
    assert (ended["stayed"], ended["arrived"], ended["epochs"]) == (True, True, 1)
    theirs = bob.wait_event("ended")
    assert (theirs["call"], theirs["reason"]) == (seen["call"], "hung-up")
    assert ended["packets"] > FRAMES / 2
    bob.stop()
    return {"hers": likeness(HERS, read_wav(place / "hers.wav")), "his": likeness(HIS, carol.heard)}


def test_it_is_refused_as_anybody_is(p2p: Start, carol: Carol) -> None:
    _, target = listening(p2p, "--answer", "never")
    hers = carol.dial(p2p, target)
    assert hers.wait_exit() == 4, hers.report()
    assert hers.all_events("refused") != []


def test_nobody_answers_to_a_key_that_is_not_there(p2p: Start, carol: Carol, tmp_path: Path) -> None:
    knows(tmp_path, "bob", "carol", carol.static.public)
    _, target = listening(p2p, "--answer", "anyone", "--reach", "anyone")
    hers = carol.dial(p2p, target, "--expect", KeyPair.generate(os.urandom).public.hex(), *GIVE_UP)
    assert hers.wait_exit() == 3, hers.report()
    assert [event["event"] for event in hers.events] == ["failed"]


def test_only_a_contact_is_answered_under_reach_contacts(p2p: Start, carol: Carol, tmp_path: Path) -> None:
    bob_public = identity(tmp_path, "bob").public.hex()
    knows(tmp_path, "bob", "carol", carol.static.public)
    _, target = listening(p2p, "--reach", "contacts", "--answer", "anyone")
    stranger = Carol(tmp_path, KeyPair.generate(os.urandom))
    for one, options, status in (
        (carol, GIVE_UP, 3),
        (stranger, ("--expect", bob_public, *GIVE_UP), 3),
        (carol, ("--expect", bob_public), 0),
    ):
        process = one.dial(p2p, target, *options)
        assert process.wait_exit() == status, process.report()


WITH_NEW_KEYS = (
    "import p2pcall.proto.constants as numbers; numbers.REKEY_AFTER_S = numbers.REKEY_LEAD_S + 1;"
    " from p2pcall.cli import run; run()"
)
"""The program, but that it changes the keys when they are a second old."""


@pytest.mark.parametrize("pattern", ["XXhfs", "IKhfs"])
def test_it_is_called_and_understood(p2p: Start, tmp_path: Path, pattern: str) -> None:
    def judge(likeness: dict[str, float]) -> None:
        assert likeness["hers"] > LIKE
        assert likeness["his"] > LIKE

    judge(he_calls(p2p, tmp_path, pattern))


def he_calls(p2p: Start, place: Path, pattern: str) -> dict[str, float]:
    """Bob calls her and changes the keys, both say something, she hangs up; how alike it was to what was heard."""
    carol = Carol(place, KeyPair.generate(os.urandom))
    write_wav(place / "his.wav", HIS)
    his_public = identity(place, "bob").public.hex()
    only: tuple[str, ...] = ("--suites", str(int(Suites.CHACHAPOLY)))
    if pattern == "IKhfs":  # silent to all else, so that his program tries the keys of his contacts
        knows(place, "bob", "carol", carol.static.public)
        only = ("--reach", "contacts", "--contact", his_public)
    hers, target = carol.listen(p2p, *only)
    bob = dialling(
        p2p,
        target,
        using=media(audio_in=place / "his.wav", audio_out=place / "hers.wav"),
        name="bob",
        program=(sys.executable, "-c", WITH_NEW_KEYS),
    )
    connected, seen = hers.wait_event("connected"), bob.wait_event("connected")
    aead = "AESGCM" if pattern == "IKhfs" and aes_available() else "ChaChaPoly"
    assert connected["protocol"] == seen["protocol"] == f"Noise_{pattern}_25519+MLKEM768_{aead}_SHA256"
    assert connected["words"] == seen["sas"]
    assert (connected["call"], connected["remote"]) == (seen["call"], his_public)
    assert (seen["name"], seen["fingerprint"]) == ("carol", fingerprint(carol.static.public))
    assert hers.wait_event("invited")["name"] == "bob"
    assert bob.wait_event("ringing")["call"] == seen["call"]
    ended, theirs = hers.wait_event("ended"), bob.wait_event("ended")
    assert (hers.wait_exit(), bob.wait_exit()) == (0, 0), hers.report() + bob.report()
    assert ended["imported"] == []
    assert (ended["stayed"], ended["arrived"]) == (True, True)
    assert ended["epochs"] > 0
    assert (theirs["call"], theirs["reason"], theirs["by"]) == (seen["call"], "hung-up", "remote")
    assert ended["packets"] > FRAMES / 2
    return {"hers": likeness(HERS, read_wav(place / "hers.wav")), "his": likeness(HIS, carol.heard)}


def test_who_calls_and_shows_another_nonce_than_was_promised_is_hung_up_on(p2p: Start, carol: Carol) -> None:
    bob, target = listening(p2p, "--answer", "anyone")
    hers = carol.dial(p2p, target, "--lie")
    ended = bob.wait_event("ended")
    assert (ended["reason"], ended["exit"]) == ("broken-promise", ExitCode.UNTRUSTED)
    assert bob.all_events("connected") == []
    assert hers.wait_event("ended")["reason"] == FAILED


def test_who_answers_and_shows_another_nonce_than_was_promised_is_hung_up_on(
    p2p: Start, carol: Carol
) -> None:
    hers, target = carol.listen(p2p, "--lie")
    bob = dialling(p2p, target, name="bob")
    ended = bob.wait_event("ended")
    assert (ended["reason"], ended["exit"]) == ("broken-promise", ExitCode.UNTRUSTED)
    assert bob.wait_exit() == ExitCode.UNTRUSTED, bob.report()
    assert bob.all_events("connected") == []
    assert hers.wait_event("ended")["reason"] == FAILED
    assert hers.all_events("connected") == [], "he has not shown his nonce"


def test_it_imports_nothing_of_the_package() -> None:
    files = sorted(path for path in SECOND.glob("*.py") if not path.stem.startswith("test_"))
    own = {path.stem for path in files}
    assert own >= {"call", "called", "caller", "door", "handshake", "line", "patterns"}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    roots = {name.name.split(".")[0] for name in names}
                case ast.ImportFrom(module=str(module)):
                    roots = {module.split(".")[0]}
                case _:
                    continue
            assert roots <= {*sys.stdlib_module_names, "cryptography", *own}, path.name
