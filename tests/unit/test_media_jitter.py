"""The jitter buffer pull by pull; long runs over bad networks are in tests/sim."""

from collections.abc import Container

import pytest

from p2pcall.media import constants as c
from p2pcall.media.jitter import Conceal, JitterBuffer, Lengthen, Play, PlayoutAction, Shorten, Silence

FRAME = c.FRAME_S
ANCHOR = 0.001
WANTED = c.FRAME_SAMPLES


class Bench:
    """Frames of 20 ms end and arrive at number × 20 ms + `ANCHOR` (plus lateness); pulls of 20 ms at whole frames."""

    def __init__(self) -> None:
        self.buffer = JitterBuffer()
        self.at = 0
        self.ready = 0

    def insert(self, number: int, late_s: float = 0.0, recovered: bool = False) -> None:
        at = (number + 1) * FRAME + ANCHOR + late_s
        self.buffer.insert(2 * number, 2, b"%d" % number, number * 20, at, recovered)

    def pull(self, *, quiet: bool = True, wanted: int = WANTED) -> PlayoutAction:
        """Of a whole frame; what is asked of the sound is not done."""
        self.at += 1
        step = self.buffer.pull((self.at + 1) * FRAME, self.ready, wanted, quiet=quiet)
        if isinstance(step, Shorten | Lengthen):
            self.buffer.stretched(0)
        if isinstance(step, Conceal | Silence):
            rest = self.buffer.pull((self.at + 1) * FRAME, self.ready + c.TICK_SAMPLES, wanted, quiet=quiet)
            assert type(rest) is type(step)
        return step

    def steady(self, frames: int) -> None:
        """Send and play so many more frames."""
        for _ in range(frames):
            self.insert(self.at)
            self.pull()

    def settled(self) -> int:
        """A buffer that plays with the least delay; the next frame to insert."""
        self.steady(400)
        assert self.buffer.target_s(self.at * FRAME) == pytest.approx(c.JITTER_BUCKET_S + c.JITTER_SLACK_S)
        assert self.buffer.delay_s < 0.035
        return self.at


def numbers(output: PlayoutAction) -> list[int]:
    if isinstance(output, Play | Lengthen):
        return [int(output.frame)]
    return [int(frame) for frame in output.frames] if isinstance(output, Shorten) else []


def test_silence_before_the_first_packet() -> None:
    buffer = JitterBuffer()
    assert buffer.pull(0.02, 0, WANTED, quiet=False) == Silence(None)
    assert buffer.counters.silence == 1
    assert (buffer.depth, buffer.next_tick) == (0, 0)


def test_first_sound_comes_soon_and_in_order() -> None:
    bench = Bench()
    outputs = []
    for number in range(10):
        bench.insert(number)
        outputs.append(bench.pull())
    played = [number for output in outputs for number in numbers(output)]
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
    bench.insert(0, 0.01)
    assert bench.buffer.depth == 1


def test_a_lost_frame_is_taken_from_the_next_packet() -> None:
    bench = Bench()
    number = bench.settled()
    bench.pull()
    bench.insert(number + 1)
    bench.insert(number, FRAME, recovered=True)
    for more in range(2, 40):
        bench.pull()
        bench.insert(number + more)
    counters = bench.buffer.counters
    assert counters.recovered == 1
    assert counters.concealed <= 2
    assert counters.late == 0


def test_a_lost_frame_without_a_copy_costs_one_concealment_and_no_delay() -> None:
    bench = Bench()
    number = bench.settled()
    before = bench.buffer.delay_s
    bench.pull()
    for more in range(1, 30):
        bench.insert(number + more)
        bench.pull()
    assert bench.buffer.counters.concealed == 2
    assert bench.buffer.counters.removed == 0
    assert bench.buffer.delay_s == pytest.approx(before)


def recover(bench: Bench, frames: int) -> float:
    """Each fifth packet is lost, and its copy comes with the next; the longest target meanwhile."""
    most_s = 0.0
    for _ in range(frames):
        if bench.at % 5:
            bench.insert(bench.at)
            if bench.at % 5 == 1:
                bench.insert(bench.at - 1, FRAME, recovered=True)
        bench.pull()
        most_s = max(most_s, bench.buffer.target_s(bench.at * FRAME))
    return most_s


def test_copies_are_waited_for_only_while_losses_are_mended_by_them() -> None:
    bench = Bench()
    bench.settled()
    clean_s = bench.buffer.target_s(bench.at * FRAME)
    assert recover(bench, 10) == clean_s, "one or two are no reason to wait"
    assert recover(bench, 190) == pytest.approx(clean_s + FRAME, abs=c.JITTER_BUCKET_S + 1e-9)
    bench.steady(round(c.JITTER_RECOVERY_S / FRAME))
    assert bench.buffer.target_s(bench.at * FRAME) == clean_s


def test_what_was_only_late_is_lateness_though_a_copy_came_before() -> None:
    bench = Bench()
    bench.settled()
    for _ in range(100):
        if bench.at % 3:
            bench.insert(bench.at)
            if bench.at % 3 == 1:
                bench.insert(bench.at - 1, FRAME, recovered=True)
                bench.insert(bench.at - 1, FRAME + 0.001)
        bench.pull()
    after = bench.at * FRAME + c.JITTER_RECOVERY_S
    assert bench.buffer.target_s(after) > FRAME, "no copy is waited for any more"


def test_an_empty_buffer_conceals_then_falls_silent_and_begins_again() -> None:
    bench = Bench()
    bench.settled()
    outputs = [bench.pull() for _ in range(20)]
    held = sum(isinstance(output, Play) for output in outputs)
    made_up = c.JITTER_CONCEAL_RUN // 2
    assert outputs[held : held + made_up] == [Conceal(1)] * made_up
    assert outputs[held + made_up :] == [Silence(2 * since) for since in range(20 - held - made_up)]
    number = bench.at
    for more in range(6):
        bench.insert(number + more)
        last = bench.pull()
    assert isinstance(last, Play)
    assert bench.buffer.delay_s < 0.040


def test_a_frame_after_its_time_is_counted_late_once_and_a_double_never() -> None:
    bench = Bench()
    number = bench.settled()
    bench.pull()
    for more in range(1, 5):
        bench.insert(number + more)
        bench.pull()
    bench.insert(number, 0.1)
    bench.insert(number, 0.1)
    bench.insert(number + 1, 0.1)
    bench.insert(number + 4, 0.001)
    assert bench.buffer.counters.late == 1


def test_a_copy_after_its_time_is_late_too() -> None:
    bench = Bench()
    number = bench.settled()
    bench.pull()
    bench.insert(number + 1)
    bench.pull()
    bench.insert(number, 0.1, recovered=True)
    assert bench.buffer.counters.late == 1


def too_deep(late_s: float) -> Bench:
    """A buffer that waited for frames which then came at once."""
    bench = Bench()
    number = bench.settled()
    for _ in range(round(late_s / FRAME)):
        bench.pull()
    for more in range(round(late_s / FRAME) + 1):
        bench.insert(number + more, late_s - more * FRAME + ANCHOR)
    return bench


def test_too_deep_is_shortened_and_nothing_left_out() -> None:
    bench = too_deep(0.061)
    outputs = []
    for _ in range(40):
        outputs.append(bench.pull())
        bench.insert(bench.at)
    changes = [output for output in outputs if isinstance(output, Shorten)]
    assert changes
    assert all(change.capture_ms == int(change.frames[-1]) * 20 for change in changes)
    assert all(change.most <= c.STRETCH_MOST_SAMPLES for change in changes)
    played = [n for output in outputs for n in numbers(output)]
    assert played == list(range(played[0], played[0] + len(played)))


def pulls_to_change(late_s: float, pause: Container[int]) -> int:
    """How many pulls until the first change, where there are pauses at such pulls."""
    bench = too_deep(late_s)
    for pull in range(100):
        if isinstance(bench.pull(quiet=pull in pause), Shorten):
            return pull
        bench.insert(bench.at)
    raise AssertionError("it stays too deep")


@pytest.mark.parametrize("late_s", [0.04, 0.1])
def test_too_deep_shrinks_in_the_first_pause_or_when_none_comes(late_s: float) -> None:
    soonest, latest = pulls_to_change(late_s, range(1000)), pulls_to_change(late_s, ())
    assert latest > 3 * soonest
    for pause in range(soonest + 1, latest, 3):
        assert pulls_to_change(late_s, {pause}) == pause
    assert pulls_to_change(late_s, range(soonest)) == latest, "too soon, pause or not"
    assert latest <= c.JITTER_SHRINK_TICKS * c.JITTER_SHRINK_LOUD / 2


def test_where_no_period_is_found_any_is_asked_for_in_the_end() -> None:
    bench, asked, ready = too_deep(0.1), [], 0
    for _ in range(c.JITTER_INSIST_TICKS):
        bench.at += 1
        bench.insert(bench.at)
        while ready < WANTED:
            step = bench.buffer.pull((bench.at + 1) * FRAME, ready, WANTED, quiet=True)
            ready += len(numbers(step)) * WANTED
            if isinstance(step, Shorten):
                asked.append(step.likeness)
                bench.buffer.stretched(0)
        ready -= WANTED
    assert asked[0] == c.JITTER_LIKENESS
    assert asked[-1] == -1.0
    assert asked == sorted(asked, reverse=True)


def test_nothing_is_taken_out_that_the_speaker_wants_now() -> None:
    """A frame that would have to be decoded for it is not there."""
    bench = too_deep(0.1)
    bench.buffer._patience = 1_000
    for tick in [tick for tick in bench.buffer._held if tick != bench.buffer.next_tick]:
        del bench.buffer._held[tick]
    assert isinstance(bench.pull(), Play)


def test_not_deep_enough_is_made_longer_soon() -> None:
    bench = Bench()
    bench.settled()
    for _ in range(5):
        bench.buffer._lateness.note(0.055)
    outputs = []
    for _ in range(6):
        bench.insert(bench.at)
        outputs.append(bench.pull(quiet=False))
    (change, *_) = [output for output in outputs if isinstance(output, Lengthen)]
    assert c.TICK_SAMPLES <= change.most <= c.STRETCH_MOST_SAMPLES


def test_what_was_changed_is_counted() -> None:
    buffer = JitterBuffer()
    for samples in (-400, 0, 300, -100):
        buffer.stretched(samples)
    assert (buffer.counters.removed, buffer.counters.added) == (500, 300)


def test_it_waits_for_a_frame_while_it_is_not_deep_enough() -> None:
    bench = Bench()
    number = bench.settled()
    while bench.buffer.depth:
        bench.pull()
    for _ in range(5):
        bench.buffer._lateness.note(0.055)
    bench.insert(bench.at + 1)
    before = bench.buffer.next_tick
    assert before == 2 * number
    assert bench.pull() == Conceal(1)
    assert bench.buffer.next_tick == before, "waits"


def test_a_wait_is_bounded() -> None:
    bench = Bench()
    bench.settled()
    for _ in range(20):
        bench.buffer._lateness.note(0.23)
    lost = bench.at
    outputs = []
    for more in range(1, 12):
        bench.insert(lost + more)
        outputs.append(bench.buffer.pull((lost + more + 1) * FRAME, 0, WANTED, quiet=True))
    assert sum(output.ticks for output in outputs if isinstance(output, Conceal)) <= c.JITTER_WAIT_TICKS + 2


def test_held_frames_are_bounded_and_the_oldest_go() -> None:
    bench = Bench()
    for number in range(200):
        bench.insert(number)
    assert bench.buffer.depth == c.JITTER_MAX_FRAMES
    assert bench.buffer.counters.skipped == 100
    bench.insert(10, 3.9)
    assert bench.buffer.depth == c.JITTER_MAX_FRAMES, "what was dropped does not come again"


def test_a_speaker_that_stood_still_goes_on_with_the_newest() -> None:
    bench = Bench()
    bench.settled()
    for _ in range(30):
        bench.insert(bench.at)
        bench.at += 1
    bench.insert(bench.at)
    output = bench.pull()
    assert isinstance(output, Play)
    assert bench.buffer.delay_s < 0.040
    assert bench.buffer.counters.skipped >= 28


def test_the_first_frame_waits_for_its_time() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, 2, b"0", 0, 0.019)
    assert buffer.pull(0.02, 0, WANTED, quiet=True) == Silence(None)
    assert buffer.pull(0.04, 0, WANTED, quiet=True) == Play(b"0", 0)


def test_sound_does_not_begin_with_what_is_old() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, 2, b"0", 0, 0.02)
    assert buffer.pull(0.4, 0, WANTED, quiet=True) == Silence(None)
    assert buffer.depth == 0


@pytest.mark.parametrize("lengths", [(1, 2, 4, 6, 1, 1, 6, 2), (6, 1), (2, 1, 1), (4, 4)])
def test_frames_of_any_length_are_played_one_after_another(lengths: tuple[int, ...]) -> None:
    buffer, tick = JitterBuffer(), 0
    for ticks in lengths:
        buffer.insert(tick, ticks, b"%d" % tick, tick, (tick + ticks) * c.TICK_S)
        tick += ticks
    now, played, ready = 0.015 + lengths[0] * c.TICK_S, [], 0
    for _ in range(tick):
        while ready < c.TICK_SAMPLES:
            step = buffer.pull(now, ready, c.TICK_SAMPLES, quiet=False)
            played += numbers(step)
            ready += lengths[len(played) - 1] * c.TICK_SAMPLES if isinstance(step, Play) else c.TICK_SAMPLES
        ready -= c.TICK_SAMPLES
        now += c.TICK_S
    assert played == [sum(lengths[:place]) for place in range(len(lengths))]


def test_of_frames_that_overlap_what_was_played_is_not_played_again() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, 6, b"long", 0, 0.06)
    buffer.insert(2, 1, b"within", 0, 0.06)
    assert buffer.pull(0.08, 0, WANTED, quiet=True) == Play(b"long", 0)
    assert (buffer.next_tick, buffer.depth) == (6, 0)


def test_what_the_speaker_wants_at_once_is_played_without_a_change_but_for_the_last() -> None:
    bench = Bench()
    bench.settled()
    bench.buffer._patience = 1_000
    for number in range(bench.at, bench.at + 2):
        bench.insert(number)
    assert isinstance(bench.pull(wanted=2 * WANTED), Play)


def test_a_wild_tick_is_rejected_and_its_copies_with_it() -> None:
    bench = Bench()
    number = bench.settled()
    held = bench.buffer.depth
    bench.buffer.insert(2 * number + 100_000, 2, b"x", 0, number * FRAME)
    bench.buffer.insert(2 * number + 99_998, 2, b"x", 0, number * FRAME, True)
    assert bench.buffer.depth == held
    assert bench.buffer.counters.rejected == 1


def test_wild_ticks_that_do_not_agree_are_never_believed() -> None:
    bench = Bench()
    number = bench.settled()
    for n in range(1, 50):
        bench.buffer.insert(2 * number + n * 1_000, 2, b"x", 0, number * FRAME)
    assert bench.buffer.counters.rejected == 49
    bench.steady(10)
    assert bench.buffer.counters.concealed == 0


def test_ticks_that_agree_are_a_new_stream() -> None:
    bench = Bench()
    at = bench.settled() * FRAME
    for n in range(c.JITTER_RESYNC_RUN + 3):
        bench.buffer.insert(7_000_000 + 2 * n, 2, b"%d" % n, n, at + n * FRAME)
    assert bench.buffer.counters.rejected == c.JITTER_RESYNC_RUN - 1
    assert bench.buffer.depth == 4
    pulls = [at + (c.JITTER_RESYNC_RUN + n) * FRAME for n in range(3)]
    outputs = [bench.buffer.pull(now, 0, WANTED, quiet=True) for now in pulls]
    assert any(isinstance(output, Play) for output in outputs)


def test_what_was_missed_is_remembered_within_a_bound() -> None:
    bench = Bench()
    number = bench.settled()
    for _ in range(2 * c.JITTER_MISSED_KEPT):
        bench.at += 2
        bench.insert(bench.at)
        for late_s in (0.0, FRAME):
            now = bench.at * FRAME + late_s + 0.015
            bench.buffer.pull(now, 0, WANTED, quiet=True)
    assert len(bench.buffer._missed) == c.JITTER_MISSED_KEPT
    assert bench.buffer.next_tick > 2 * number + 6 * c.JITTER_MISSED_KEPT


def test_copies_are_remembered_within_a_bound() -> None:
    bench = Bench()
    number = bench.settled()
    for more in range(2 * c.JITTER_MISSED_KEPT, 0, -1):
        bench.buffer.insert(2 * number - more, 2, b"", 0, number * FRAME, True)
        assert not bench.buffer._copied, "what was played in time is not told from a double"
    for more in range(2 * c.JITTER_MISSED_KEPT):
        bench.buffer.insert(2 * (number + more), 1, b"", 0, (number + more) * FRAME, True)
    assert len(bench.buffer._copied) == c.JITTER_MISSED_KEPT


def test_more_slack_is_more_delay() -> None:
    assert JitterBuffer(0.03).target_s(0.0) == pytest.approx(JitterBuffer(0.01).target_s(0.0) + 0.02)
