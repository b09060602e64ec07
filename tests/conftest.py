"""What every test gets: a home of its own, guards against what tests leave behind, hypothesis set up.

Rules held for all tests, without being asked for:
- `P2PCALL_HOME` is a fresh directory; no test sees or touches the home of the person who runs it.
- A thread that outlives its test fails it.
- A call that blocks the event loop (sleeping, looking a name up, a file's lock, a disk, the end of a thread) from the
  program's code fails the test.
- Under CI=true a test marked device, terminal or netns may not be skipped: what is missing is a failure.
- Each test is in one lane (`--lane`): `apart` has those marked so, which measure sound, pictures or time, and is to run
  alone on the machine; `patient` and `beside` the others with real processes, devices or a terminal, which wait more
  than they compute; `long` the longest simulations, in which coverage is not counted; `unit` all others.
Property tests are derandomized under CI, so a run can be repeated; `P2PCALL_HYPOTHESIS=nightly` looks on.
"""

import asyncio
import fcntl
import itertools
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, SupportsIndex

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = str(ROOT / "p2pcall") + os.sep
HARDWARE_MARKS = ("device", "terminal", "netns")
THREAD_GRACE_S = 5.0
"""How long a thread that was told to end may take; a test that passes never waits for it."""


def under_ci() -> bool:
    """Whether the run is one in which nothing may be missing."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.register_profile("nightly", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("P2PCALL_HYPOTHESIS") or ("ci" if under_ci() else "dev"))


# Under `nohup` or behind `&` signals are ignored, and would be in every program that is tested.
DEFAULTS = {
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
for number, default in DEFAULTS.items():
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, default)


# ---- lanes

REAL = ("e2e",)
LONG = (
    *("test_proto_orders.py", "test_proto_floods.py", "test_proto_words.py", "test_proto_bad_network.py"),
    *(
        "test_media_voice.py",
        "test_media_picture.py",
        "test_room_echo.py",
        "test_engine_orders.py",
        "test_engine_flood.py",
    ),
    "test_fuzz_corpus.py",
)
"""Files that compute for ten seconds and more, and twice as long with coverage."""
PATIENT = (
    *("test_bad_input.py", "test_call_by_name.py", "test_call_ends.py", "test_call_options.py"),
    *("test_discovery.py", "test_harness.py", "test_harness_process.py", "test_line_middle.py"),
    *("test_line_strangers.py", "test_lonely_pipes.py", "test_namespace_call.py", "test_pipes.py"),
    *("test_private_presence.py", "test_second_implementation.py", "test_verify.py", "test_wire_privacy.py"),
    *("test_first_contact.py", "test_no_telemetry.py", "test_lasting_choices.py"),
    *("test_output_naming.py", "test_output_question.py"),
)
"""Files with real processes that wait for what is told, and look at no picture: half of all such tests, by time."""
LANES = ("long", "unit", "beside", "patient", "apart")


def lane_of(item: pytest.Item) -> str:
    """By where the test is, and by its marks; those that measure are all in one place."""
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    if folder in REAL or any(map(item.get_closest_marker, HARDWARE_MARKS)):
        if item.get_closest_marker("apart"):
            return "apart"
        return "patient" if item.path.name in PATIENT else "beside"
    return "long" if item.path.name in LONG else "unit"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lane", choices=LANES, help="the tests of this lane alone")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even read a file that has no test of the lane: all of them take ten seconds to read."""
    lane = config.getoption("--lane")
    if lane is None or collection_path.suffix != ".py" or not collection_path.is_relative_to(ROOT / "tests"):
        return None
    folder = collection_path.relative_to(ROOT / "tests").parts[0]
    if lane in ("beside", "patient") and (collection_path.name in PATIENT) != (lane == "patient"):
        has = False
    elif folder in REAL:
        has = lane in ("beside", "patient", "apart")
    elif lane in ("beside", "patient", "apart"):
        has = any(f"mark.{name}" in collection_path.read_text() for name in HARDWARE_MARKS)
    else:
        has = (collection_path.name in LONG) == (lane == "long")
    return None if has else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lane = config.getoption("--lane")
    others = [item for item in items if lane not in (None, lane_of(item))]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if lane_of(item) == lane]


# ---- nothing may be missing under CI


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a report was skipped, in the words of the one who skipped."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a skip a failure that tells the reason."""
    reason = skip_reason(report)
    report.outcome = "failed"
    report.longrepr = f"skipped under CI, where nothing may be missing: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected = hasattr(report, "wasxfail")
    if under_ci() and report.skipped and not expected and any(map(item.get_closest_marker, HARDWARE_MARKS)):
        refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if under_ci() and report.skipped:
        refuse_skip(report)
    return report


# ---- a home of its own

_homes = itertools.count()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that `P2PCALL_HOME` names in this test; not made yet."""
    path = tmp_path_factory.getbasetemp() / f"home{next(_homes)}"
    for name in [name for name in os.environ if name.startswith("P2PCALL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("P2PCALL_HOME", str(path))
    return path


# ---- no thread is left


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test after which a thread goes on that was not there before."""
    before = set(threading.enumerate())
    yield
    new = [thread for thread in threading.enumerate() if thread not in before]
    deadline = time.monotonic() + THREAD_GRACE_S
    for thread in new:
        thread.join(max(0.0, deadline - time.monotonic()))
    left = sorted(thread.name for thread in new if thread.is_alive())
    if left:
        pytest.fail(f"threads left behind: {', '.join(left)}")


# ---- nothing blocks the loop


def _looks_up_a_name(args: tuple[object, ...]) -> bool:
    host = args[0]
    return isinstance(host, str) and not all(char in "0123456789abcdef.:" for char in host.partition("%")[0])


def _waits_for_a_lock(args: tuple[object, ...]) -> bool:
    """All but `device/outfile`, which tries once, and goes on without."""
    operation = args[1]
    assert isinstance(operation, int)
    caller = sys._getframe(2).f_code.co_filename
    return not (
        operation & fcntl.LOCK_UN or (operation & fcntl.LOCK_NB and caller.endswith("device/outfile.py"))
    )


BLOCKING: dict[str, Callable[[tuple[object, ...]], bool]] = {
    "socket.getaddrinfo": _looks_up_a_name,
    "socket.gethostbyname": _looks_up_a_name,
    "os.system": bool,
    "fcntl.flock": _waits_for_a_lock,
    "fcntl.lockf": _waits_for_a_lock,
}
"""Audit events of calls that wait, each with a test on its arguments of whether it really would."""

_blocked: list[str] = []


def _note_if_in_the_loop(what: str, frame: FrameType) -> None:
    """Remember the call if a loop runs in this thread and the program's code is among the callers."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    caller: FrameType | None = frame
    while caller is not None and not caller.f_code.co_filename.startswith(PACKAGE):
        caller = caller.f_back
    if caller is not None:
        _blocked.append(f"{what}\n" + "".join(traceback.format_stack(frame, 6)))


def _audit(event: str, args: tuple[object, ...]) -> None:
    waits = BLOCKING.get(event)
    if waits is not None and waits(args):
        _note_if_in_the_loop(f"{event}{args!r}", sys._getframe(1))


_real_sleep = time.sleep


def _sleep(seconds: float | SupportsIndex, /) -> None:
    """In the place of `time.sleep`, of which Python 3.11 raises no audit event."""
    if seconds:
        _note_if_in_the_loop(f"time.sleep({seconds!r})", sys._getframe(1))
    _real_sleep(seconds)


_real_fsync = os.fsync


def _fsync(fd: Any) -> None:
    """In the place of `os.fsync`, which raises no audit event either."""
    _note_if_in_the_loop(f"os.fsync({fd!r})", sys._getframe(1))
    _real_fsync(fd)


_real_join = threading.Thread.join


def _join(self: threading.Thread, timeout: float | None = None) -> None:
    """In the place of `Thread.join`."""
    if self.is_alive() and (timeout is None or timeout > 0):
        _note_if_in_the_loop(f"{self.name}.join({timeout!r})", sys._getframe(1))
    _real_join(self, timeout)


time.sleep = _sleep
os.fsync = _fsync
threading.Thread.join = _join
sys.addaudithook(_audit)


@pytest.fixture(autouse=True)
def no_loop_blocked() -> Iterator[None]:
    """Fail a test in which the program waited inside the event loop by other means than `await`."""
    _blocked.clear()
    yield
    if _blocked:
        found = list(_blocked)
        _blocked.clear()
        pytest.fail("the event loop was blocked by\n" + "\n".join(found))
