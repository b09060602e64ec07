"""The jitter buffer tick by tick; long runs over bad networks are in tests/sim."""

from collections.abc import Container

import pytest

from p2pcall.media import constants as c
from p2pcall.media.jitter import Conceal, JitterBuffer, Merge, Play, PlayoutAction, Silence
from p2pcall.media.lateness import Lateness

TICK = c.FRAME_S
ANCHOR = 0.001


class Bench:
    """Packets arrive at seq × 20 ms + `ANCHOR` (plus lateness); pulls at whole ticks."""

    def __init__(self) -> None:
        self.buffer = JitterBuffer()
        self.tick = 0

    def insert(self, seq: int, late_s: float = 0.0, recovered: bool = False) -> None:
        at = seq * TICK + ANCHOR + late_s
        self.buffer.insert(seq, b"%d" % seq, seq * 20, at, recovered)

    def pull(self, *, quiet: bool = True) -> PlayoutAction:
        self.tick += 1
        return self.buffer.pull(self.tick * TICK, quiet=quiet)

    def steady(self, frames: int) -> None:
        """Send and play so many more frames."""
        for _ in range(frames):
            self.insert(self.tick)
            self.pull()

    def settled(self) -> int:
        """A buffer that plays with the least delay; the next seq to insert."""
        self.steady(400)
        assert self.buffer.target_s == pytest.approx(c.JITTER_BUCKET_S + c.JITTER_SLACK_S)
        assert self.buffer.delay_s < 0.035
        return self.tick


def seqs(output: PlayoutAction) -> list[int]:
    if isinstance(output, Play):
        return [int(output.frame)]
    if isinstance(output, Merge):
        return [int(output.first), int(output.second)]
    return []


def test_silence_before_the_first_packet() -> None:
    bench = Bench()
    assert bench.pull() == Silence()
    assert bench.buffer.counters.silence == 1
    assert (bench.buffer.depth, bench.buffer.next_seq) == (0, 0)


def test_first_sound_comes_soon_and_in_order() -> None:
    bench = Bench()
    outputs = []
    for seq in range(10):
        bench.insert(seq)
        outputs.append(bench.pull())
    played = [seq for output in outputs for seq in seqs(output)]
    assert played == list(range(len(played)))
    assert len(played) >= 8
    first = next(output for output in outputs if isinstance(output, Play))
    assert first == Play(b"0", 0)


def test_a_copy_alone_does_not_begin_a_call() -> None:
    bench = Bench()
    bench.insert(0, recovered=True)
    assert bench.buffer.depth == 0


def test_a_double_of_a_held_frame_changes_nothing() -> None:
    bench = Bench()
    bench.insert(0)
    bench.insert(0, 0.01, recovered=True)
    assert bench.buffer.depth == 1


def test_a_lost_frame_is_taken_from_the_next_packet() -> None:
    bench = Bench()
    seq = bench.settled()
    bench.pull()
    bench.insert(seq + 1)
    bench.insert(seq, TICK, recovered=True)
    for more in range(2, 40):
        bench.pull()
        bench.insert(seq + more)
    counters = bench.buffer.counters
    assert counters.recovered == 1
    assert counters.concealed <= 1
    assert counters.late == 0


def test_a_lost_frame_without_a_copy_costs_one_concealment_and_no_delay() -> None:
    bench = Bench()
    seq = bench.settled()
    before = bench.buffer.delay_s
    bench.pull()
    for more in range(1, 30):
        bench.insert(seq + more)
        bench.pull()
    assert bench.buffer.counters.concealed == 1
    assert bench.buffer.counters.merged == 0
    assert bench.buffer.delay_s == pytest.approx(before)


def test_an_empty_buffer_conceals_then_falls_silent_and_begins_again() -> None:
    bench = Bench()
    bench.settled()
    outputs = [bench.pull() for _ in range(20)]
    held = sum(isinstance(output, Play) for output in outputs)
    assert outputs[held:] == [Conceal()] * c.JITTER_CONCEAL_RUN + [Silence()] * (15 - held)
    seq = bench.tick
    for more in range(6):
        bench.insert(seq + more)
        last = bench.pull()
    assert isinstance(last, Play)
    assert bench.buffer.delay_s < 0.040


def test_a_frame_after_its_time_is_counted_late_once_and_a_double_never() -> None:
    bench = Bench()
    seq = bench.settled()
    bench.pull()
    for more in range(1, 5):
        bench.insert(seq + more)
        bench.pull()
    bench.insert(seq, 0.1)
    bench.insert(seq, 0.1)
    bench.insert(seq + 1, 0.1)
    bench.insert(seq + 4, 0.001)
    assert bench.buffer.counters.late == 1


def too_deep(late_s: float) -> Bench:
    """A buffer that waited for frames which then came at once."""
    bench = Bench()
    seq = bench.settled()
    for _ in range(round(late_s / TICK)):
        bench.pull()
    for more in range(round(late_s / TICK) + 1):
        bench.insert(seq + more, late_s - more * TICK + ANCHOR)
    return bench


def test_too_deep_for_long_is_merged_away() -> None:
    bench = too_deep(0.061)
    outputs = []
    for _ in range(40):
        outputs.append(bench.pull())
        bench.insert(bench.tick)
    merges = [output for output in outputs if isinstance(output, Merge)]
    assert merges
    assert all(merge.capture_ms == int(merge.second) * 20 for merge in merges)
    played = [n for output in outputs for n in seqs(output)]
    assert played == list(range(played[0], played[0] + len(played))), "nothing left out"
    assert bench.buffer.delay_s <= bench.buffer.target_s + c.FRAME_S + c.JITTER_SHRINK_HYSTERESIS_S
    assert bench.buffer.counters.merged == len(merges)


def ticks_to_merge(late_s: float, pause: Container[int]) -> int:
    """How many ticks until the first merge, where there are pauses at such ticks."""
    bench = too_deep(late_s)
    for tick in range(100):
        if isinstance(bench.pull(quiet=tick in pause), Merge):
            return tick
        bench.insert(bench.tick)
    raise AssertionError("it stays too deep")


@pytest.mark.parametrize("late_s", [0.06, 0.1])
def test_too_deep_shrinks_in_the_first_pause_or_when_none_comes(late_s: float) -> None:
    soonest, latest = ticks_to_merge(late_s, range(1000)), ticks_to_merge(late_s, ())
    assert latest > 3 * soonest
    for pause in range(soonest + 1, latest, 3):
        assert ticks_to_merge(late_s, {pause}) == pause
    assert ticks_to_merge(late_s, range(soonest)) == latest, "too soon to be merged, pause or not"
    assert latest <= c.JITTER_SHRINK_TICKS * c.JITTER_SHRINK_LOUD


def test_no_merge_without_the_second_frame() -> None:
    bench = Bench()
    bench.settled()
    bench.buffer._deep_ticks = 1_000
    bench.insert(bench.tick)
    bench.buffer._held = {bench.buffer._next: bench.buffer._held[max(bench.buffer._held)]}
    assert isinstance(bench.buffer._play(1.0, quiet=True), Play)


def test_it_waits_for_a_frame_while_it_is_not_deep_enough() -> None:
    bench = Bench()
    seq = bench.settled()
    while bench.buffer.depth:
        bench.pull()
    for _ in range(5):
        bench.buffer._lateness.note(0.055)
    assert bench.buffer.target_s > 0.055
    bench.insert(bench.tick + 1)
    before = bench.buffer._next
    assert before == seq
    assert bench.pull() == Conceal()
    assert bench.buffer._next == before, "waits"


def test_a_wait_is_bounded() -> None:
    bench = Bench()
    bench.settled()
    for _ in range(20):
        bench.buffer._lateness.note(0.23)
    lost = bench.tick
    outputs = []
    for more in range(1, 12):
        bench.insert(lost + more)
        outputs.append(bench.pull())
    assert sum(isinstance(output, Conceal) for output in outputs) <= c.JITTER_WAIT_TICKS + 1


def test_held_frames_are_bounded_and_the_oldest_go() -> None:
    bench = Bench()
    for seq in range(200):
        bench.insert(seq)
    assert bench.buffer.depth == c.JITTER_MAX_FRAMES
    assert bench.buffer.counters.skipped == 150
    bench.insert(10, 3.9)
    assert bench.buffer.depth == c.JITTER_MAX_FRAMES, "what was dropped does not come again"


def test_a_speaker_that_stood_still_goes_on_with_the_newest() -> None:
    bench = Bench()
    bench.settled()
    for _ in range(30):
        bench.insert(bench.tick)
        bench.tick += 1
    bench.insert(bench.tick)
    output = bench.pull()
    assert isinstance(output, Play)
    assert bench.buffer.delay_s < 0.040
    assert bench.buffer.counters.skipped >= 28


def test_the_first_frame_waits_for_its_time() -> None:
    bench = Bench()
    bench.buffer.insert(0, b"0", 0, 0.019)
    assert bench.buffer.pull(0.02, quiet=True) == Silence()
    assert bench.buffer.pull(0.04, quiet=True) == Play(b"0", 0)


def test_a_wild_seq_is_rejected_and_its_copies_with_it() -> None:
    bench = Bench()
    seq = bench.settled()
    held = bench.buffer.depth
    bench.buffer.insert(seq + 100_000, b"x", 0, seq * TICK)
    bench.buffer.insert(seq + 99_999, b"x", 0, seq * TICK, True)
    assert bench.buffer.depth == held
    assert bench.buffer.counters.rejected == 1


def test_wild_seqs_that_do_not_agree_are_never_believed() -> None:
    bench = Bench()
    seq = bench.settled()
    for n in range(1, 50):
        bench.buffer.insert(seq + n * 1_000, b"x", 0, seq * TICK)
    assert bench.buffer.counters.rejected == 49
    bench.steady(10)
    assert bench.buffer.counters.concealed == 0


def test_seqs_that_agree_are_a_new_stream() -> None:
    bench = Bench()
    at = bench.settled() * TICK
    for n in range(c.JITTER_RESYNC_RUN + 3):
        bench.buffer.insert(7_000_000 + n, b"%d" % n, n, at + n * TICK)
    assert bench.buffer.counters.rejected == c.JITTER_RESYNC_RUN - 1
    assert bench.buffer.depth == 4
    outputs = [bench.buffer.pull(at + (c.JITTER_RESYNC_RUN + n) * TICK, quiet=True) for n in range(3)]
    assert any(isinstance(output, Play) for output in outputs)


def test_what_was_missed_is_remembered_within_a_bound() -> None:
    bench = Bench()
    seq = bench.settled()
    for _ in range(2 * c.JITTER_MISSED_KEPT):
        bench.tick += 2
        bench.insert(bench.tick)
        bench.buffer.pull((bench.tick - 1) * TICK + 0.015, quiet=True)
        bench.buffer.pull(bench.tick * TICK + 0.015, quiet=True)
    assert len(bench.buffer._missed) == c.JITTER_MISSED_KEPT
    assert bench.buffer._next > seq + 3 * c.JITTER_MISSED_KEPT


def test_more_slack_is_more_delay() -> None:
    assert JitterBuffer(0.03).target_s == pytest.approx(JitterBuffer(0.01).target_s + 0.02)


def test_lateness_forgets_what_was_fast_long_ago() -> None:
    lateness = Lateness()
    lateness.observe(1.0, 0.0)
    lateness.observe(0.5, 1.0)
    assert lateness.base == 0.5
    lateness.observe(0.9, 6.0)
    assert lateness.base == 0.5
    lateness.observe(0.8, 12.0)
    assert lateness.base == 0.8
    lateness.observe(0.85, 13.0)
    assert lateness.base == 0.8
    lateness.anchor(2.0, 14.0)
    assert lateness.base == 2.0


def test_lateness_is_a_quantile_that_comes_back() -> None:
    lateness = Lateness()
    for _ in range(1_000):
        lateness.note(0.001)
    assert lateness.required_s == pytest.approx(0.005)
    lateness.note(0.1)
    assert lateness.required_s == pytest.approx(0.005), "one alone moves nothing"
    for _ in range(5):
        lateness.note(0.101)
    assert lateness.required_s == pytest.approx(0.105)
    lateness.note(5.0)
    assert lateness.required_s == pytest.approx(0.105), "an outage is not counted"
    for _ in range(1_000):
        lateness.note(0.001)
    assert lateness.required_s == pytest.approx(0.005)
