"""WebRTC's voice processing, called through livekit's library; and what happens where there is none."""

import ctypes
import sys
from array import array
from math import pi, sin
from pathlib import Path
from typing import Any

import pytest

from p2pcall.codec import voice_processing as vp
from p2pcall.media import constants as c


def chirp(ticks: int) -> "array[int]":
    """Something whose place in time can be told."""
    size = ticks * c.TICK_SAMPLES
    return array(
        "h", [int(8_000 * sin(2 * pi * (300 + 1_500 * i / size) * i / c.SAMPLE_RATE_HZ)) for i in range(size)]
    )


def late_by(sent: "array[int]", got: "array[int]") -> int:
    """Samples by which the second is later."""
    some = range(len(sent) // 2, len(sent) // 2 + 2_000)
    return max(range(600), key=lambda lag: sum(sent[i] * got[i + lag] for i in some))


@pytest.fixture
def processing() -> vp.VoiceProcessing:
    made = vp.voice_processing()
    if made is None:
        pytest.skip("livekit is not installed")
    return made


@pytest.mark.parametrize(
    ("step", "delay"),
    [
        ("cancel", vp.CANCELLER_DELAY_SAMPLES),
        ("suppress", vp.SUPPRESSOR_DELAY_SAMPLES),
        ("raise_voice", 0),
    ],
)
def test_each_step_takes_the_time_that_it_is_said_to(
    processing: vp.VoiceProcessing, step: str, delay: int
) -> None:
    sent, got = chirp(40), array("h")
    for at in range(0, len(sent), c.TICK_SAMPLES):
        if step == "cancel":
            processing.far(bytes(c.TICK_BYTES))
        got.frombytes(getattr(processing, step)(sent[at : at + c.TICK_SAMPLES].tobytes()))
    assert len(got) == len(sent)
    assert late_by(sent, got) == pytest.approx(delay, abs=3)


@pytest.mark.parametrize("step", ["far", "cancel", "suppress", "raise_voice"])
@pytest.mark.parametrize("size", [0, c.TICK_BYTES - 2, c.TICK_BYTES + 2, 2 * c.TICK_BYTES])
def test_what_is_no_whole_tick_never_reaches_the_library(
    processing: vp.VoiceProcessing, step: str, size: int
) -> None:
    with pytest.raises(ValueError, match="no tick"):
        getattr(processing, step)(bytes(size))


def test_the_package_itself_is_not_imported_for_it(processing: vp.VoiceProcessing) -> None:
    assert "livekit.rtc" not in sys.modules


def test_a_system_without_the_package_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr(vp.importlib.util, "find_spec", missing)
    assert vp._library.__wrapped__() is None


def test_a_wheel_without_its_library_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(vp.importlib.util, "find_spec", lambda _: Spec)
    assert vp._library.__wrapped__() is None


class Answers:
    """A library that answers in its own way, and keeps what it is asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = ctypes.create_string_buffer(answer, len(answer) or 1)
        self._size = len(answer)
        self.asked: list[bytes] = []
        self.dropped: list[int] = []

    def livekit_ffi_request(self, request: bytes, size: int, answer: Any, answer_size: Any) -> int:
        self.asked.append(request[:size])
        answer._obj.value, answer_size._obj.value = ctypes.addressof(self._answer), self._size
        return len(self.asked)

    def livekit_ffi_drop_handle(self, handle: int) -> bool:
        self.dropped.append(handle)
        return True


@pytest.mark.parametrize("answer", [b"", b"\x8a", b"\x8a\x03\x06\x0a\x04\x0a\x02\x10\x01", b"\x92\x03\x00"])
def test_a_library_that_answers_otherwise_is_not_used(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(vp, "_library", lambda: Answers(answer))
    assert vp.voice_processing() is None


def test_every_handle_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    lib = Answers(bytes.fromhex("8a03070a050a0308ac02"))
    monkeypatch.setattr(vp, "_library", lambda: lib)
    processing = vp.voice_processing()
    assert processing is not None
    for _ in range(3):
        processing.far(bytes(c.TICK_BYTES))
        processing.cancel(bytes(c.TICK_BYTES))
    asked = len(lib.asked)
    assert sorted(lib.dropped) == list(range(1, asked + 1))
    del processing
    assert lib.dropped[asked:] == [300, 300, 300]
