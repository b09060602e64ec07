"""A microphone beside a loudspeaker: the far end paired with it, the echo in it, who speaks, what the voice needs."""

from array import array
from itertools import pairwise
from math import inf, nan, pi, sin
from random import Random

import pytest

from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import acoustics
from p2pcall.media import constants as c
from p2pcall.media.acoustics import Acoustics
from p2pcall.media.double_talk import DoubleTalk
from p2pcall.media.far_end import SILENT_TICK, FarEnd
from p2pcall.media.loudness import crossfaded, gain_of, level_and_colour_db, level_db, with_gain
from p2pcall.media.near_voice import NearVoice

Feature = tuple[float, float]
NOISE: Feature = (-60.0, 0.0)


def sine(hz: float, peak: float = 0.5) -> bytes:
    """One tick."""
    return array(
        "h", [int(c.PCM_MAX * peak * sin(2 * pi * hz * i / c.SAMPLE_RATE_HZ)) for i in range(c.TICK_SAMPLES)]
    ).tobytes()


def marked(number: int) -> bytes:
    """A tick that can be told from others."""
    return number.to_bytes(2, "little") * c.TICK_SAMPLES


def number_of(tick: bytes) -> int:
    return int.from_bytes(tick[:2], "little")


class Speech:
    """Levels and colours of somebody who speaks: syllables of all kinds, and now and then a pause."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._left = 0
        self._now: Feature = NOISE

    def tick(self) -> Feature:
        if not self._left:
            self._left = self._rng.randint(4, 14)
            quiet = self._rng.random() < 0.25
            self._now = NOISE if quiet else (self._rng.uniform(-32, -16), self._rng.uniform(-12, 6))
        self._left -= 1
        return self._now[0] + self._rng.uniform(-1, 1), self._now[1] + self._rng.uniform(-1, 1)


class Room:
    """Near and far end in it, tick by tick."""

    def __init__(self, coupling_db: float | None, lag: int = 8, *, cancelled: bool = True) -> None:
        self.coupling_db, self.lag = coupling_db, lag
        self.acoustics = Acoustics()
        self.double_talk = DoubleTalk(self.acoustics, cancelled=cancelled)
        self.voice_leaves = self.echo_leaves = True
        self._far: list[Feature] = []

    def hear(self, far: Feature, near: Feature = NOISE, *, leaves_db: float = -30.0) -> None:
        """One tick; the canceller leaves an echo so much lower than it was."""
        played = far[0] - self.double_talk.duck_db, far[1]
        self._far.append(played)
        echo: Feature = NOISE
        if self.coupling_db is not None and len(self._far) > self.lag:
            level, colour = self._far[-1 - self.lag]
            echo = level + self.coupling_db, colour
        heard = max(near, echo, NOISE)
        left_db = max(near[0], echo[0] + leaves_db, NOISE[0])
        self.acoustics.tick(heard, played, ducked=self.double_talk.duck_db > 0)
        self.double_talk.tick(heard[0], played[0], left_db)

    def far_alone(self, seconds: float, seed: int = 1) -> None:
        speech = Speech(seed)
        for _ in range(round(seconds / c.TICK_S)):
            self.hear(speech.tick())


# ---- loudness


def test_a_level_is_that_of_the_sound() -> None:
    assert level_db(sine(1000, 1.0)) == pytest.approx(-3.0, abs=0.2)
    assert level_db(sine(1000, 0.1)) == pytest.approx(-23.0, abs=0.2)
    assert level_db(SILENT_TICK) == acoustic.LEVEL_LEAST_DB


def test_colour_is_higher_for_a_higher_sound_whatever_its_level() -> None:
    (_, low), (_, high), (_, soft) = map(level_and_colour_db, (sine(200), sine(3000), sine(200, 0.05)))
    assert high > low + 15
    assert soft == pytest.approx(low, abs=0.5)


def test_a_faded_sound_goes_evenly_from_one_gain_to_the_other() -> None:
    tick = array("h", [10_000] * c.TICK_SAMPLES).tobytes()
    down = array("h", with_gain(tick, 1.0, 0.5))
    assert down[0] == 10_000
    assert down[-1] == pytest.approx(5_000, abs=20)
    assert max(a - b for a, b in pairwise(down)) < 20
    assert set(array("h", with_gain(tick, 0.5, 0.5))) == {5_000}
    assert gain_of(-20) == pytest.approx(0.1)


def test_no_sound_at_all_can_be_faded() -> None:
    assert with_gain(b"", 1.0, 0.5) == b""


def test_a_crossfade_begins_with_one_sound_and_ends_with_the_other() -> None:
    one, other = (array("h", [value] * c.TICK_SAMPLES).tobytes() for value in (20_000, -20_000))
    mixed = array("h", crossfaded(one, other))
    assert (mixed[0], mixed[-1]) == (20_000, pytest.approx(-20_000, abs=100))


# ---- the far end beside the microphone


def paired(far_end: FarEnd, ticks: int, latency_s: float, *, ppm: float = 0.0, start: int = 0) -> list[int]:
    """The number of the far tick that each near tick got; both sides tick evenly, the speaker faster by `ppm`."""
    got, pulled = [], 0
    rng = Random(1)
    for number in range(start, start + ticks):
        now = number * c.TICK_S
        while pulled * c.TICK_S * (1 - ppm * 1e-6) <= number * c.TICK_S - start * c.TICK_S:
            at = now + latency_s + rng.uniform(-0.004, 0.004)
            far_end.played(marked(start + pulled + 1), at)
            pulled += 1
        got.append(number_of(far_end.heard(now + c.TICK_S)))
    return got


def test_a_far_tick_is_paired_with_the_microphone_when_it_is_heard_and_stays_so() -> None:
    latency = 20
    got = paired(FarEnd(), 1000, latency * c.TICK_S)
    behind = {number + 1 - far for number, far in enumerate(got) if number > 2 * latency}
    assert len(behind) == 1
    assert behind.pop() == pytest.approx(latency - acoustic.FAR_LEAD_TICKS, abs=acoustic.FAR_SLIP_TICKS)
    before = latency - acoustic.FAR_LEAD_TICKS - acoustic.FAR_SLIP_TICKS - 1
    assert not any(got[:before])


def test_a_far_tick_is_shown_before_it_is_heard() -> None:
    far_end = FarEnd()
    far_end.played(marked(7), 1.0)
    assert far_end.heard(1.0 - acoustic.FAR_LEAD_TICKS * c.TICK_S + c.TICK_S) == marked(7)


@pytest.mark.parametrize("piece", [1, 2, 4, 6])
@pytest.mark.parametrize("latency_s", [0.0, 0.01, 0.03])
def test_where_the_speaker_holds_less_than_that_each_far_tick_is_shown_once_and_none_is_left_out(
    piece: int, latency_s: float
) -> None:
    got = in_pieces(FarEnd(), range(0, 600, piece), latency_s)
    steps = {later - before for before, later in pairwise(got[100:])}
    assert steps == {1}


def in_pieces(far_end: FarEnd, pieces: range, latency_s: float) -> list[int]:
    """As `paired`; the microphone gives some ticks at once, and in each of them 3 ms are missing to the newest."""
    got = []
    for first in pieces:
        for number in range(first, first + pieces.step):
            far_end.played(marked(number + 1), number * c.TICK_S + latency_s)
        newest = (first + pieces.step) * c.TICK_S - 0.003
        got += [number_of(far_end.heard(newest - ago * c.TICK_S)) for ago in reversed(range(pieces.step))]
    return got


def test_after_a_loop_that_stood_still_the_far_end_is_shown_as_early_as_before() -> None:
    far_end, latency_s, stood_still = FarEnd(), 0.03, 3
    before = in_pieces(far_end, range(200), latency_s)[-1] - 200
    for number in range(stood_still):
        assert far_end.heard((201 + number) * c.TICK_S - 0.003) == SILENT_TICK
    for number in range(stood_still):
        far_end.played(marked(201 + number), (200 + number) * c.TICK_S + latency_s)
    got = in_pieces(far_end, range(200 + stood_still, 800), latency_s)
    assert got[0] - 204 == before - stood_still
    assert got[-1] - 800 == before


def test_a_speaker_whose_clock_is_fast_slips_by_a_tick_now_and_then() -> None:
    got = paired(FarEnd(), 20_000, 0.1, ppm=300)
    steps = [later - before for before, later in pairwise(got[100:])]
    assert set(steps) <= {1, 2}
    assert 3 <= steps.count(2) <= 6  # 60 ms


def test_a_speaker_that_stops_is_silence() -> None:
    far_end = FarEnd()
    assert far_end.heard(0.0) == SILENT_TICK
    paired(far_end, 50, 0.05)
    for number in range(50, 100):
        last = far_end.heard(number * c.TICK_S)
    assert last == SILENT_TICK


def test_a_speaker_that_jumps_is_followed_at_once() -> None:
    far_end = FarEnd()
    paired(far_end, 100, 0.3)
    got = paired(far_end, 100, 0.05, start=100)
    assert 99 + 1 - got[-1] + 100 <= 10


@pytest.mark.parametrize("delay_s", [nan, inf, -inf])
def test_a_speaker_whose_delay_was_no_number_once_is_followed_afterwards(delay_s: float) -> None:
    far_end = FarEnd()
    paired(far_end, 100, 0.1)
    far_end.played(marked(100), delay_s)
    far_end.heard(1.0)
    got = paired(far_end, 100, 0.1, start=100)
    assert {199 + 1 - got[-1]} <= set(range(5, 9))
    assert number_of(far_end.heard(inf)) == 200


def test_what_was_played_long_ago_is_left_out() -> None:
    far_end = FarEnd()
    far_end.played(b"".join(map(marked, range(1, 51))), 0.0)
    assert number_of(far_end.heard(0.4)) >= 35


# ---- is there an echo?


@pytest.mark.parametrize("lag", [0, 5, 20, 40])
@pytest.mark.parametrize("coupling_db", [-6.0, -20.0])
def test_an_echo_is_found_with_its_delay_and_its_level_within_three_seconds(
    lag: int, coupling_db: float
) -> None:
    room = Room(coupling_db, lag)
    room.far_alone(3.0)
    assert room.acoustics.echo
    assert room.acoustics.lag == lag
    assert room.acoustics.coupling_db == pytest.approx(coupling_db, abs=1.5)


def test_nothing_is_known_before_the_far_end_has_spoken() -> None:
    room, speech = Room(None), Speech(3)
    for _ in range(3000):
        room.hear(NOISE, speech.tick())
    assert room.acoustics.echo is None


def test_headphones_are_known_after_ten_seconds_of_far_end_speech() -> None:
    room = Room(None)
    room.far_alone(9.0)
    assert room.acoustics.echo is None
    room.far_alone(12.0, seed=2)
    assert room.acoustics.echo is False


@pytest.mark.parametrize("seed", range(12))
def test_two_people_who_speak_at_once_are_no_echo(seed: int) -> None:
    room, near, far = Room(None), Speech(seed), Speech(seed + 100)
    for _ in range(4000):
        room.hear(far.tick(), near.tick())
        assert room.acoustics.echo is None


def test_people_who_take_turns_are_no_echo() -> None:
    room, near, far = Room(None), Speech(1), Speech(2)
    for tick in range(6000):
        answer = tick // 60 % 2
        room.hear(NOISE if answer else far.tick(), near.tick() if answer else NOISE)
        assert not room.acoustics.echo


def test_an_echo_after_headphones_is_found_again_within_two_seconds() -> None:
    room = Room(None)
    room.far_alone(25.0)
    assert room.acoustics.echo is False
    room.coupling_db = -15.0
    room.far_alone(2.0, seed=5)
    assert room.acoustics.echo


def test_an_echo_whose_delay_jumps_is_found_again_within_two_seconds() -> None:
    room = Room(-15.0, 8)
    room.far_alone(5.0)
    room.lag = 20
    room.far_alone(2.25, seed=5)
    assert room.acoustics.lag == 20


def test_looking_for_an_echo_makes_no_tick_much_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    products = [0]

    def counted(one: float, other: float) -> float:
        products[-1] += 1
        return one * other

    room, speech = Room(-15.0), Speech(3)
    monkeypatch.setattr(acoustics, "mul", counted)
    for _ in range(12 * acoustic.ECHO_LOOK_TICKS):
        room.hear(speech.tick())
        products.append(0)
    looked = products[-4 * acoustic.ECHO_LOOK_TICKS :]
    assert max(looked) < sum(looked) / 4 / 4


def test_even_sound_is_no_sign_of_an_echo() -> None:
    room = Room(-10.0)
    for _ in range(500):
        room.hear((-20.0, -3.0))
    assert room.acoustics.echo is None


def test_sound_that_is_alike_in_level_and_never_in_colour_is_no_echo() -> None:
    acoustics, far = Acoustics(), Speech(1)
    for _ in range(1000):
        level, colour = far.tick()
        acoustics.tick((level - 10, 0.0), (level, colour), ducked=False)
        assert acoustics.coupling_db == acoustic.COUPLING_UNKNOWN_DB or acoustics.echo


def test_a_moment_of_both_is_too_little_to_tell_an_echo() -> None:
    acoustics = Acoustics()
    for tick in range(1000):
        loud = tick % 10 == 0
        level = -20.0 if loud else -39.0
        acoustics.tick((level - 35, 0.0), (level, 0.0), ducked=False)
    assert not acoustics.echo


# ---- both speak


def test_the_speaker_is_ducked_while_the_near_side_speaks_over_an_echo_and_back_afterwards() -> None:
    room, far, near = Room(-6.0), Speech(11), Speech(12)
    room.far_alone(8.0)
    assert room.double_talk.duck_db == 0
    for _ in range(300):
        room.hear(far.tick(), near.tick())
    assert room.double_talk.talking
    assert room.double_talk.duck_db >= 20
    for _ in range(acoustic.TALK_HOLD_TICKS + 30):
        room.hear(far.tick())
    assert not room.double_talk.talking
    assert room.double_talk.duck_db == 0


def test_the_quieter_the_echo_the_less_is_ducked() -> None:
    ducked = []
    for coupling_db in (-6.0, -20.0, -30.0):
        room, far, near = Room(coupling_db), Speech(11), Speech(12)
        room.far_alone(8.0)
        for _ in range(300):
            room.hear(far.tick(), near.tick())
        ducked.append(room.double_talk.duck_db)
    assert ducked[0] > ducked[1] > ducked[2]
    assert ducked[0] <= acoustic.DUCK_MOST_DB


def test_a_voice_far_above_the_echo_goes_by_the_canceller_and_an_echo_alone_never() -> None:
    room, far, near = Room(-6.0), Speech(11), Speech(12)
    speech = Speech(1)
    for _ in range(800):
        room.hear(speech.tick())
        assert not room.double_talk.through
    through = 0
    for _ in range(300):
        room.hear(far.tick(), near.tick())
        through += room.double_talk.through
    assert through > 200


def test_headphones_are_never_ducked() -> None:
    room, far, near = Room(None), Speech(11), Speech(12)
    room.far_alone(25.0)
    for _ in range(500):
        room.hear(far.tick(), near.tick())
        assert room.double_talk.duck_db == 0


def test_what_a_canceller_leaves_at_first_is_not_taken_for_a_voice() -> None:
    room, speech = Room(-6.0), Speech(1)
    for _ in range(acoustic.TALK_SETTLED_TICKS):
        room.hear(speech.tick(), leaves_db=-3.0)
        assert room.double_talk.duck_db == 0


def test_without_a_canceller_only_what_is_louder_than_the_echo_is_a_voice() -> None:
    room, far = Room(-20.0, cancelled=False), Speech(1)
    for _ in range(800):
        room.hear(far.tick(), leaves_db=0.0)
    assert not room.double_talk.talking
    near = Speech(2)
    for _ in range(200):
        room.hear(far.tick(), near.tick(), leaves_db=0.0)
    assert room.double_talk.talking


def test_a_click_is_no_voice() -> None:
    room = Room(None)
    for tick in range(400):
        room.hear(NOISE, (-10.0, 0.0) if tick % 50 == 49 else NOISE)
        assert not room.double_talk.talking


# ---- what the voice needs


def test_a_clear_voice_is_left_as_it_is() -> None:
    voice, speech = NearVoice(), Speech(1)
    for _ in range(2000):
        voice.tick(speech.tick()[0], -60.0, talking=True)
        assert not (voice.noisy or voice.faint)


def test_noise_is_suppressed_from_where_it_is_heard_until_it_is_well_below() -> None:
    voice = NearVoice()
    for noise_db, noisy in ((-45.0, True), (-53.0, True), (-57.0, False), (-53.0, False)):
        for _ in range(acoustic.NOISE_KNOWN_TICKS):
            voice.tick(noise_db, noise_db, talking=False)
        assert voice.noisy is noisy


def test_a_faint_voice_is_raised_until_it_is_loud_by_itself() -> None:
    voice = NearVoice()
    for level_db_, faint in ((-35.0, True), (-25.0, True), (-15.0, False), (-25.0, False)):
        for _ in range(acoustic.VOICE_KNOWN_TICKS):
            voice.tick(level_db_, -70.0, talking=True)
        assert voice.faint is faint
