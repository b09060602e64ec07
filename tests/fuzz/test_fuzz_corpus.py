"""The kept corpus of the fuzzer, played through its targets without it: what was reached once stays sound."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_run import CORPUS, MAX_CORPUS_BYTES, NAMES, ROOT
from fuzz_stage import Source, Stage
from fuzz_targets import MAX_INPUT_BYTES, TARGETS

from p2pcall.proto.phases.open import Open
from p2pcall.proto.wire import DropReason
from p2pcall.types import Address

LEAST_INPUTS = 20
"""Of each target: fewer would reach hardly anything."""
ADVERSE = (b"", b"\0", b"\0" * 300, b"\xff" * 300, bytes(range(256)))


def kept(name: str) -> list[Path]:
    return sorted((CORPUS / name).iterdir())


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_find_nothing(name: str) -> None:
    inputs = kept(name)
    assert len(inputs) >= LEAST_INPUTS
    for path in inputs:
        data = path.read_bytes()
        assert len(data) <= MAX_INPUT_BYTES
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_plain_inputs_find_nothing(name: str) -> None:
    for data in ADVERSE:
        TARGETS[name](data)


def test_corpus_is_small_and_of_these_targets() -> None:
    assert list(TARGETS) == list(NAMES)
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for name in TARGETS for path in kept(name)) <= MAX_CORPUS_BYTES


def test_forged_record_that_leaves_a_trace_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(Source(b""))
    _, theirs = stage.call(0, 1)
    bob = stage.ends[1]
    forged = b"\6\0\0\0" + theirs.index.to_bytes(4, "big") + bytes(40)
    stage.give(bob, forged, bob.address)
    careful = Open.receive_data

    def careless(phase: Open, datagram: bytes, address: Address, now: float) -> DropReason | None:
        theirs.address = address
        return careful(phase, datagram, address, now)

    monkeypatch.setattr(Open, "receive_data", careless)
    with pytest.raises(AssertionError, match="left a trace"):
        stage.give(bob, forged, ("203.0.113.9", 9))


def test_source_gives_zeros_when_it_is_used_up() -> None:
    source = Source(b"\1\2\3")
    assert (source.number(2), source.more) == (0x0102, True)
    assert (source.number(2), source.more) == (0x0300, False)
    assert (source.take(4), source.below(7), source.below(1000)) == (b"", 0, 0)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_fuzzer_runs(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "tests/fuzz/fuzz_run.py"),
        "--inside",
        "media",
        "--program",
        "media",
    ]
    run = subprocess.run(
        [*command, "--", "-runs=50", f"-artifact_prefix={tmp_path}/"],
        env={"PYTHONPATH": ":".join(map(str, (ROOT, ROOT / "tests/fuzz", ROOT / "tests/sim")))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Done 50 runs" in run.stderr
