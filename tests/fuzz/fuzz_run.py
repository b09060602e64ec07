"""The fuzzer: `python tests/fuzz/fuzz_run.py [--seconds N] [--keep] [TARGET ...]`.

Each target gets an equal share of the seconds in a process of its own, guided by which branches of `proto` and `media`
its input reaches (atheris, which is libFuzzer for Python: `pip install -e '.[fuzz]'`). It starts from the kept corpus
and what it finds is thrown away, unless --keep says that the corpus is to be made anew: the smallest set of inputs
that reaches as much. An input that raises is printed and left in build/fuzz; play it again with --play FILE.
Exit status 0 only if nothing was raised.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"
FOUND = ROOT / "build" / "fuzz"
NAMES = ("responder", "dialler", "line", "control", "media")
PATHS = [str(ROOT), str(HERE), str(HERE.parent / "sim")]
SLOW_S = 20
"""An input that takes so long is a finding."""
MEMORY_MB = 1024
MAX_CORPUS_BYTES = 300_000
"""Of all kept inputs together."""


def inside(name: str, program: str, arguments: Sequence[str]) -> None:
    """The fuzzing itself; does not return. `program` is what libFuzzer runs again when it merges."""
    import atheris

    with atheris.instrument_imports(include=["p2pcall.proto", "p2pcall.media"]):
        import fuzz_targets

    limits = [f"-max_len={fuzz_targets.MAX_INPUT_BYTES}", f"-timeout={SLOW_S}", f"-rss_limit_mb={MEMORY_MB}"]
    atheris.Setup([program, *limits, *arguments], fuzz_targets.TARGETS[name])
    atheris.Fuzz()


def fuzz(place: Path, name: str, *arguments: str) -> bool:
    """Run one target in a process of its own with these arguments for libFuzzer."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}
    program = place / name
    call = shlex.join(
        [sys.executable, str(HERE / "fuzz_run.py"), "--inside", name, "--program", str(program), "--"]
    )
    program.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
    program.chmod(0o700)
    return subprocess.run([str(program), *arguments], env=environ, check=False).returncode == 0


def hunt(name: str, seconds: int, *, keep: bool) -> bool:
    """One target for so long; whether nothing was found."""
    kept = CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz") as place:
        new, small = Path(place, "new"), Path(place, "small")
        new.mkdir()
        small.mkdir()
        print(f"==> {name}: {seconds} s from {sum(1 for _ in kept.iterdir())} inputs", flush=True)
        prefix = f"-artifact_prefix={FOUND / name}-"
        start = time.monotonic()
        quiet = ("-verbosity=0", "-print_final_stats=1", f"-max_total_time={seconds}")
        good = fuzz(Path(place), name, *quiet, prefix, str(new), str(kept))
        print(f"==> {name}: {'nothing' if good else 'SOMETHING'} found in {time.monotonic() - start:.0f} s")
        if good and keep:
            good = fuzz(Path(place), name, "-set_cover_merge=1", prefix, str(small), str(kept), str(new))
            if good:
                shutil.rmtree(kept)
                shutil.copytree(small, kept)
    return good


def main(argv: Sequence[str]) -> int:
    """Parse, run, tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together (600)")
    parser.add_argument("--keep", action="store_true", help="make the corpus anew from what was found")
    parser.add_argument("--play", type=Path, metavar="FILE", help="play one input through one target")
    parser.add_argument("--inside", metavar="TARGET", help=argparse.SUPPRESS)
    parser.add_argument("--program", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside:
        inside(options.inside, options.program, options.targets)
    names = options.targets or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if options.play:
        sys.path[:0] = PATHS
        from fuzz_targets import TARGETS

        for name in names:
            TARGETS[name](options.play.read_bytes())
        return 0
    share = max(1, options.seconds // len(names))
    good = [hunt(name, share, keep=options.keep) for name in names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
