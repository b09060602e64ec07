"""The symbolic model and its script can tell a sound handshake from a flawed one; `make prove` runs all of it.

Here one property and one planted flaw are searched, and every way in which a verdict can be wrong is shown to be a
failure. It needs maude, which must be there under CI.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROVE = Path(__file__).resolve().parent.parent / "model" / "prove.py"


def load() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("prove", PROVE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prove"] = module
    spec.loader.exec_module(module)
    return module


prove = load()


@pytest.fixture
def maude() -> None:
    """Skips where maude is missing, unless under CI: there its absence is a failure."""
    if shutil.which("maude") is None:
        missing = f"maude is missing (Debian: apt-get install {prove.PACKAGE})"
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(missing)
        pytest.skip(missing)


def verdict(check: object) -> bool:
    answer = prove.judge(check, prove.Searcher([check]))
    assert isinstance(answer, bool)
    return answer


@pytest.mark.usefixtures("maude")
def test_the_smallest_world_of_ik_holds(capsys: pytest.CaptureFixture[str]) -> None:
    (check,) = prove.holds("ik", ("pair",), "agreement-r")
    assert verdict(check)
    line = capsys.readouterr().out.split()
    assert line[:4] == ["holds", "IKhfs", "agreement-r", "pair"]
    assert int(line[4]) > 5, "both sides went through their messages"


@pytest.mark.usefixtures("maude")
def test_no_words_are_learnt_before_somebody_has_answered() -> None:
    for pattern in ("xx", "ik"):
        (check,) = prove.holds(pattern, ("both-call-him", "calls-both"), "paid")
        assert verdict(check)


@pytest.mark.usefixtures("maude")
@pytest.mark.parametrize("flaw", ["old-order", "nonce-offered", "reveal-early", "reveal-unchecked"])
def test_nonces_that_are_shown_too_early_are_found(flaw: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main([f"-{flaw} paid"]) == 0
    assert ", not as expected: 0" in capsys.readouterr().out


@pytest.mark.usefixtures("maude")
def test_a_planted_flaw_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main(["flaw xx-no-commitment"]) == 0
    assert "verdicts: 1, not as expected: 0" in capsys.readouterr().out


@pytest.mark.usefixtures("maude")
def test_a_flaw_where_none_may_be_fails(capsys: pytest.CaptureFixture[str]) -> None:
    (check,) = prove.holds("ik-no-ss", ("pair",), "first-message")
    assert not verdict(check)
    assert "BROKEN in pair" in capsys.readouterr().out


@pytest.mark.usefixtures("maude")
def test_a_flaw_that_is_not_found_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = prove.found("flaw", [("ik", "pair", "first-message", "none at all")])
    monkeypatch.setattr(prove, "CHECKS", sound)
    assert prove.main([]) == 1
    assert "NOT FOUND" in capsys.readouterr().out


@pytest.mark.usefixtures("maude")
def test_what_maude_does_not_understand_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prove, "CHECKS", prove.found("flaw", [("no-such-pattern", "pair", "secrecy", "")]))
    assert prove.main([]) == 1
    assert "no-such-pattern" in capsys.readouterr().err


@pytest.mark.usefixtures("maude")
@pytest.mark.parametrize("lost", ["eq dhs(ss,", "eq whole(none)", "eq field(cr,"])
def test_a_hole_in_the_model_is_found(lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in PROVE.parent.glob("*.maude"):
        lines = path.read_text().splitlines(keepends=True)
        tmp_path.joinpath(path.name).write_text("".join(line for line in lines if lost not in line))
    assert not prove.search("ik", "pair", ["stuck"], breaks=False).found
    monkeypatch.setattr(prove, "HERE", tmp_path)
    assert prove.search("ik", "pair", ["stuck"], breaks=False).found


def test_no_check_at_all_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert prove.main(["no such words"]) == 1
    assert "verdicts: 0" in capsys.readouterr().out


def test_without_maude_the_package_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove.shutil, "which", lambda name: None)
    assert prove.main([]) == 2
    assert "apt-get install maude" in capsys.readouterr().err


def test_every_property_is_seen_to_break_somewhere() -> None:
    claimed = {check.aim for check in prove.CLAIMS} - {"stuck"}
    assert claimed <= {check.aim for check in (*prove.LIMITS, *prove.FLAWS)}


def test_every_world_with_claims_about_peers_is_seen_to_finish() -> None:
    worlds = {
        (check.pattern, world)
        for check in prove.CLAIMS
        if check.aim in (*prove.KEYS, *prove.PEERS)
        for world in check.worlds
    }
    assert worlds <= {(check.pattern, check.worlds[0]) for check in prove.RUNS}
