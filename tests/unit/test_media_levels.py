"""How loud sound is, and what is told of a microphone."""

import math
import random
from array import array
from collections.abc import Iterable

import pytest

from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import constants as c
from p2pcall.media.levels import Finding, LevelMeter, MicrophoneWatch, Verdict, judge, peak_dbfs

LOOKS_A_SECOND = round(1 / acoustic.LEVEL_EVERY_S)
ROOM, VOICE = -60.0, -25.0


def sine(dbfs: float, samples: int = c.FRAME_SAMPLES) -> bytes:
    """A tone of that level; what is louder than full scale has its tops cut off."""
    top = c.PCM_MAX * math.sqrt(2) * 10 ** (dbfs / 20)
    wave = (top * math.sin(2 * math.pi * 440 * n / c.SAMPLE_RATE_HZ) for n in range(samples))
    return array("h", [max(-c.PCM_MAX - 1, min(c.PCM_MAX, round(one))) for one in wave]).tobytes()


def looked(pcm: bytes) -> LevelMeter:
    meter = LevelMeter()
    meter.look(pcm)
    return meter


@pytest.mark.parametrize("samples", [c.TICK_SAMPLES, c.FRAME_SAMPLES, 3 * c.FRAME_SAMPLES])
@pytest.mark.parametrize("dbfs", [-70.0, -40.0, -20.0, -3.2])
def test_a_tone_has_its_level_whatever_the_length_of_the_piece(dbfs: float, samples: int) -> None:
    assert looked(sine(dbfs, samples)).dbfs == pytest.approx(dbfs, abs=1.0)


def test_silence_and_no_sound_at_all_have_the_lowest_level() -> None:
    assert looked(bytes(c.FRAME_BYTES)).dbfs == looked(b"").dbfs == acoustic.LOWEST_DBFS
    assert looked(array("h", [1, 0, 0, 0] + [0] * 956).tobytes()).dbfs == acoustic.LOWEST_DBFS


def test_a_piece_clips_if_its_top_is_flat() -> None:
    assert looked(sine(3.0)).clipped
    assert looked(array("h", [-32_768] * 960).tobytes()).clipped
    assert not looked(sine(-4.0)).clipped
    assert not looked(array("h", [c.PCM_MAX] * 2 + [0] * 958).tobytes()).clipped


def test_the_level_of_an_interval_is_the_mean_of_its_looks_and_then_begins_anew() -> None:
    meter = LevelMeter()
    assert meter.interval() is None
    assert meter.total() is None
    meter.look(sine(-20.0))
    meter.look(bytes(c.FRAME_BYTES))
    assert meter.interval() == pytest.approx(-23.0, abs=0.3)
    assert meter.interval() is None
    meter.look(sine(-20.0))
    assert meter.total() == pytest.approx(-21.8, abs=0.3)
    assert meter.interval() == pytest.approx(-20.0, abs=0.3)
    assert meter.total() == pytest.approx(-21.8, abs=0.3)


def test_a_meter_shows_nothing_of_a_quiet_room_and_all_of_full_scale() -> None:
    heights = [looked(sine(dbfs)).height for dbfs in (-90, -62, -55, -31, -3.1)]
    assert heights == [0, 0, 1, 4, 7]
    assert looked(array("h", [c.PCM_MAX] * 960).tobytes()).height == acoustic.METER_STEPS


def told(
    watch: MicrophoneWatch, levels: Iterable[float], *, clipped: bool = False, muted: bool = False
) -> list[Finding]:
    """What is told in a look at each of these levels."""
    found = [watch.look(dbfs, clipped=clipped, muted=muted) for dbfs in levels]
    return [one for one in found if one is not None]


def talk(seconds: float, seed: int = 1) -> list[float]:
    """Speech: loud, with the pauses that it has."""
    chance = random.Random(seed)
    return [VOICE if chance.random() < 0.7 else ROOM for _ in range(round(seconds * LOOKS_A_SECOND))]


def test_a_microphone_that_is_silent_for_ten_seconds_from_the_start_is_told_once() -> None:
    watch = MicrophoneWatch()
    assert told(watch, [acoustic.LOWEST_DBFS] * (10 * LOOKS_A_SECOND - 1)) == []
    assert told(watch, [acoustic.LOWEST_DBFS] * 100) == [Finding.SILENT]


def test_a_microphone_that_was_heard_once_is_not_told_to_be_silent() -> None:
    watch = MicrophoneWatch()
    assert told(watch, [acoustic.LOWEST_DBFS] * 20 + [ROOM] + [acoustic.LOWEST_DBFS] * 1000) == []


def test_a_microphone_that_clips_for_a_second_of_five_is_told_once() -> None:
    watch = MicrophoneWatch()
    assert told(watch, [0.0] * (acoustic.CLIP_LOOKS - 1), clipped=True) == []
    assert told(watch, [VOICE] * 30) == []
    assert told(watch, [0.0] * 500, clipped=True) == [Finding.CLIPPING]


def test_who_is_muted_and_talks_is_told_once_each_time_it_is_muted() -> None:
    watch = MicrophoneWatch()
    assert told(watch, talk(10)) == []
    assert told(watch, [ROOM] * 20 + talk(30), muted=True) == [Finding.MUTED]
    assert told(watch, talk(5)) == []
    assert told(watch, talk(10), muted=True) == [Finding.MUTED]


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([ROOM] * 500, id="a quiet room"),
        pytest.param([-30.0] * 500, id="a fan"),
        pytest.param([ROOM] * 30 + [VOICE] * 4 + [ROOM] * 60, id="a cough"),
        pytest.param([ROOM, -48.0] * 250, id="the next room"),
    ],
)
def test_who_is_muted_and_does_not_talk_is_told_nothing(levels: list[float]) -> None:
    assert told(MicrophoneWatch(), levels, muted=True) == []


@pytest.mark.parametrize(
    ("levels", "clipped", "verdict"),
    [
        pytest.param([ROOM] * 80 + [VOICE] * 20, 0, Verdict.GOOD, id="speech and pauses"),
        pytest.param([ROOM] * 80 + [VOICE] * 20, acoustic.CLIPPED_PIECES - 1, Verdict.GOOD, id="a knock"),
        pytest.param([ROOM] * 80 + [-5.0] * 20, acoustic.CLIPPED_PIECES, Verdict.CLIPPING, id="too loud"),
        pytest.param([ROOM] * 95 + [VOICE] * 5, 0, Verdict.QUIET, id="a cough"),
        pytest.param([ROOM] * 100, 0, Verdict.QUIET, id="a room"),
        pytest.param([acoustic.LOWEST_DBFS] * 100, 0, Verdict.SILENT, id="nothing"),
        pytest.param([], 0, Verdict.SILENT, id="no recording"),
    ],
)
def test_a_recording_is_judged_by_its_loudest_tenth(
    levels: list[float], clipped: int, verdict: Verdict
) -> None:
    assert judge(levels, clipped) is verdict


def test_the_peak_of_a_recording_is_its_highest_sample_up_or_down() -> None:
    assert peak_dbfs(array("h", [3, -3277, 5]).tobytes()) == pytest.approx(-20, abs=0.01)
    assert peak_dbfs(array("h", [-32_768]).tobytes()) == pytest.approx(0, abs=0.01)
    assert peak_dbfs(b"") == acoustic.LOWEST_DBFS
