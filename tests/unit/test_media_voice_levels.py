"""Levels of voice: sizes, copies, and which level follows from what is reported."""

import math
from itertools import pairwise

import pytest

from p2pcall.media import constants as c
from p2pcall.media.packets import AudioCopy, parse_audio
from p2pcall.media.redundancy import Redundancy
from p2pcall.media.voice_control import VoiceControl
from p2pcall.media.voice_levels import Rung, VoiceLevel, copy_distances, ladder, residual
from p2pcall.types import Profile

GOOD = ladder(Profile.NORMAL)[-2]
"""The best of frames of two ticks."""
FRAME = b"\x78".ljust(GOOD.frame_bytes, b"\0")


def copies(redundancy: Redundancy, number: int) -> tuple[int, ...]:
    packet = parse_audio(redundancy.packet(2 * number, FRAME, number * 20))
    assert packet is not None
    return tuple(copy.distance // 2 for copy in packet.copies)


# ---- packets


def test_the_frame_before_comes_along_on_a_good_path() -> None:
    redundancy = Redundancy(VoiceControl().level)
    assert [copies(redundancy, number) for number in range(3)] == [(0,), (0, 1), (0, 1)]
    other = b"\x78".ljust(GOOD.frame_bytes, b"\1")
    packet = parse_audio(redundancy.packet(6, other, 60))
    assert packet is not None
    assert packet.copies == (AudioCopy(0, other), AudioCopy(2, FRAME))


def test_a_gap_in_the_numbers_has_no_copy() -> None:
    redundancy = Redundancy(VoiceControl().level)
    copies(redundancy, 0)
    assert copies(redundancy, 5) == (0,)


def test_other_copies_are_there_at_once_and_after_another_rung_none_of_before() -> None:
    redundancy = Redundancy(VoiceControl().level)
    for number in range(10):
        copies(redundancy, number)
    redundancy.level = VoiceLevel(GOOD, (2, 4, 8))
    assert redundancy.level.distances == (2, 4, 8)
    assert copies(redundancy, 10) == (0, 1, 2, 4)
    low = ladder(Profile.NORMAL)[3]
    redundancy.level = VoiceLevel(low, (4,))
    packet = parse_audio(redundancy.packet(22, b"\x10".ljust(low.frame_bytes, b"\0"), 240))
    assert packet is not None and len(packet.copies) == 1


def test_size_of_a_packet_follows_from_its_level_and_number_alone() -> None:
    for profile in Profile:
        for rung in ladder(profile):
            for distances in ((), (rung.ticks,), (rung.ticks, 2 * rung.ticks)):
                redundancy = Redundancy(VoiceLevel(rung, distances))
                toc = {1: 0x70, 2: 0x78, 4: 0x10, 6: 0x18}[rung.ticks]
                for number in range(20):
                    frame = bytes([toc]).ljust(rung.frame_bytes, bytes([number]))
                    payload = redundancy.packet(number * rung.ticks, frame, 0)
                    room = rung.room_bytes if number % rung.room_every == 0 else 0
                    assert redundancy.payload_bytes == rung.sound_bytes(len(distances)) + room
                    assert len(payload) <= rung.sound_bytes(len(distances))
                assert len(payload) == rung.sound_bytes(len(distances)), "with all its copies"


def test_frame_that_would_show_in_the_size_of_its_packet_is_not_sent() -> None:
    for wrong in (FRAME + b"x", FRAME[:-1]):
        with pytest.raises(ValueError, match=f"{len(wrong)} bytes"):
            Redundancy(VoiceControl().level).packet(0, wrong, 0)


# ---- ladders


@pytest.mark.parametrize("profile", Profile)
def test_ladder_begins_below_24_kb_s_with_all_headers_and_goes_up_in_small_steps(profile: Profile) -> None:
    rates = [rung.path_bps(rung.copies) for rung in ladder(profile)]
    assert rates[0] < 24_000
    assert all(1.05 < more / less < 2.3 for less, more in pairwise(rates))
    assert rates[-1] < 350_000


@pytest.mark.parametrize("profile", Profile)
def test_every_level_has_whole_frames_and_fits_a_packet(profile: Profile) -> None:
    for rung in ladder(profile):
        assert rung.bitrate_bps * rung.ticks * c.TICK_MS % 8000 == 0
        assert rung.sound_bytes(3) + rung.room_bytes <= c.MAX_PAYLOAD_BYTES
        for loss in (0.0, 0.01, 0.05, 0.2, 0.5, 1.0):
            for burst in (0, 1, 6, 40, 255):
                distances = copy_distances(rung, profile, loss, burst)
                assert rung.copies <= len(distances) <= 3
                assert all(distance % rung.ticks == 0 for distance in distances)
                assert distances[-1:] <= (c.MAX_COPY_DISTANCE,)


# ---- copies


def test_residual_loss_is_that_of_the_model() -> None:
    assert residual(0.1, 1, ()) == pytest.approx(0.1)
    assert residual(0.1, 1, (1,)) == pytest.approx(0.01)
    assert residual(0.1, 1 / 0.9, (1, 2, 4)) == pytest.approx(0.0001)
    assert residual(0.1, 5, (1,)) > 5 * residual(0.1, 1, (1,))
    assert residual(0.1, 5, (8,)) < residual(0.1, 5, (1,)) / 2
    assert residual(1.0, 9, (1, 2)) == pytest.approx(1.0)


def test_random_loss_wants_near_copies_and_bursts_want_distant_ones() -> None:
    def packets(loss: float, burst: int, profile: Profile = Profile.NORMAL) -> tuple[int, ...]:
        rung = ladder(profile)[-1] if profile is Profile.SAFE else GOOD
        return tuple(one // 2 for one in copy_distances(rung, profile, loss, 2 * burst))

    assert packets(0.0, 0) == (1,)
    assert packets(0.05, 1) == (1, 2)
    assert packets(0.2, 1) == (1, 2, 4)
    assert packets(0.1, 3)[-1] >= 6
    assert packets(0.1, 5)[-1] == 8, "as far as the profile reaches"
    assert packets(0.1, 5, Profile.SAFE)[-1] == 12
    assert packets(0.1, 5, Profile.FAST)[-1] <= 3
    assert packets(0.0, 0, Profile.SAFE) == (1, 2), "always two"


# ---- what reports change


class Told:
    """A controller that gets a report a second."""

    def __init__(self, profile: Profile = Profile.NORMAL) -> None:
        self.control = VoiceControl(profile)
        self.now = 0.0
        self.say()

    def say(self, seconds: int = 1, loss: float = 0.0, burst: float = 2.0, queue_s: float = 0.0) -> "Told":
        for _ in range(seconds):
            self.now += 1.0
            self.control.on_report(loss, burst, queue_s, 0.05, self.now)
        return self

    @property
    def rung(self) -> Rung:
        return self.control.level.rung

    @property
    def copies(self) -> int:
        return len(self.control.level.distances)


def test_loss_without_a_queue_brings_copies_at_once_and_takes_them_back_later() -> None:
    told = Told().say(3)
    assert told.copies == 1
    told.say(1, loss=0.3)
    assert (told.copies, told.rung) == (3, GOOD)
    counts = []
    for _ in range(40):
        counts.append(told.say().copies)
    assert counts[:4] == [3] * 4
    assert counts[-1] == 1 and counts == sorted(counts, reverse=True)
    assert told.rung == GOOD


def test_copies_that_reach_further_are_taken_at_once_and_nearer_ones_later() -> None:
    told = Told().say(8, loss=0.25, burst=2)
    near = told.control.level.distances
    told.say(4, loss=0.25, burst=12)
    assert told.control.level.distances[-1] > near[-1]
    assert len(told.control.level.distances) == len(near) == 3
    told.say(30, loss=0.25, burst=2)
    assert told.control.level.distances == near


def test_a_growing_queue_brings_the_level_down_at_once_to_what_has_come_through() -> None:
    told = Told().say(3)
    told.say(1, loss=0.5, queue_s=0.3)
    assert told.control.level.path_bps < 0.5 * GOOD.path_bps(1)
    before = told.control.level.path_bps
    told.say(1, queue_s=0.25)
    assert told.control.level.path_bps == before, "it empties"
    told.say(1, loss=0.8, queue_s=0.5)
    assert told.rung == ladder(Profile.NORMAL)[0]
    told.say(3, loss=0.8, queue_s=9.0)
    assert told.rung == ladder(Profile.NORMAL)[0], "and voice goes on"


def test_a_queue_that_does_not_grow_and_loses_nothing_is_somebody_elses() -> None:
    told = Told().say(3).say(1, queue_s=0.12)
    rung = told.rung
    told.say(20, queue_s=0.12)
    assert told.rung == rung


def test_a_queue_of_pictures_does_not_starve_voice() -> None:
    told = Told().say(3)
    for _ in range(10):
        told.now += 1.0
        told.control.on_report(0.1, 2.0, told.now / 10, 0.05, told.now, filming=True)
    assert told.rung == GOOD


def test_more_bits_that_make_it_worse_are_taken_back_and_not_tried_again_soon() -> None:
    """A path that carries 100 kb/s and drops all else without a queue."""
    told = Told().say(3)
    most = []
    for _ in range(120):
        rate = told.control.level.path_bps
        told.say(1, loss=max(0.0, 1 - 100_000 / rate), burst=2)
        most.append(rate)
    assert sum(rate > 100_000 for rate in most[20:]) < 60
    assert min(most) > 20_000


def test_a_few_long_bursts_are_chance_and_no_full_network() -> None:
    """What a path with 10 % loss in bursts of five packets did in its first ten seconds."""
    told = Told()
    told.control.pieces_of_a_tick = True
    told.say(3)
    before = told.rung
    for loss, burst in ((0.42, 12), (0.34, 20), (0.28, 14), (0.18, 6), (0.25, 8), (0.01, 1), (0.15, 8)):
        told.say(1, loss=loss, burst=burst)
        assert told.rung == before and told.copies == 3
    for loss, burst in ((0.0, 0), (0.0, 0), (0.3, 30)):
        told.say(1, loss=loss, burst=burst)
    assert told.rung == before


def test_as_much_loss_that_is_spread_evenly_is_a_full_network() -> None:
    told = Told()
    told.control.pieces_of_a_tick = True
    told.say(3)
    before = told.rung
    told.say(2, loss=0.35, burst=1.0)
    assert told.rung.path_bps(1) < 0.8 * before.path_bps(1)


def test_tries_that_fail_become_rare() -> None:
    told = Told()
    tries = []
    for _ in range(120):
        rate = told.control.level.path_bps
        over = rate > 50_000
        told.say(1, loss=0.2 if over else 0.0, queue_s=0.4 if over else 0.0)
        if told.control.level.path_bps > 50_000 >= rate:
            tries.append(told.now)
    gaps = [round(later - earlier) for earlier, later in pairwise(tries)]
    assert gaps[-1] >= 8 > gaps[0]
    assert len(tries) <= 14


def test_level_goes_up_again_when_the_network_does() -> None:
    told = Told().say(3).say(4, loss=0.8, queue_s=1.0)
    assert told.rung == ladder(Profile.NORMAL)[0]
    rungs = [told.say().rung for _ in range(15)]
    assert rungs[-1] == GOOD
    changes = [at for at, (before, after) in enumerate(pairwise(rungs)) if before != after]
    assert all(later - earlier >= 2 for earlier, later in pairwise(changes)), "each is kept for seconds"


def test_frames_of_a_tick_are_sent_only_where_pieces_of_a_tick_come_and_not_by_safe() -> None:
    told = Told().say(4)
    assert told.control.wants_pieces_of_a_tick
    assert told.rung == GOOD
    told.control.pieces_of_a_tick = True
    assert told.rung.ticks == 1
    safe = Told(Profile.SAFE).say(4)
    safe.control.pieces_of_a_tick = True
    assert not safe.control.wants_pieces_of_a_tick
    assert safe.rung.ticks == 2
    fast = Told(Profile.FAST)
    assert fast.control.wants_pieces_of_a_tick
    assert fast.rung.ticks == 2
    for _ in range(2):
        fast.control.pieces_of_a_tick = True
        assert fast.control.pieces_of_a_tick and fast.rung.ticks == 1
    fast.control.pieces_of_a_tick = False
    assert fast.rung.ticks == 2


def test_a_rung_that_failed_and_then_held_is_no_ceiling_any_more() -> None:
    told = Told().say(3).say(3, queue_s=1.0).say(3, queue_s=3.0)
    fallen = told.rung
    told.say(8)
    assert told.rung != fallen
    told.say(2, queue_s=1.0).say(2, queue_s=2.0)
    assert told.control._ceiling < len(ladder(Profile.NORMAL))
    told.say(150)
    assert told.rung == GOOD
    assert told.control._ceiling == len(ladder(Profile.NORMAL))


def test_fast_keeps_frames_of_a_tick_whatever_is_lost() -> None:
    told = Told(Profile.FAST)
    told.control.pieces_of_a_tick = True
    assert told.rung.ticks == 1
    told.say(10, loss=0.2)
    assert told.rung.ticks == 1 and told.copies == 3


def test_another_profile_takes_the_place_on_its_own_ladder() -> None:
    told = Told().say(3)
    told.control.profile = Profile.NORMAL
    told.control.profile = Profile.SAFE
    assert told.copies == 2
    told.control.profile = Profile.FAST
    assert told.control.wants_pieces_of_a_tick
    told.say(3, loss=0.8, queue_s=1.0).say(2, queue_s=0.02)
    low = told.control.level.path_bps
    told.control.profile = Profile.SAFE
    assert told.control.level.path_bps <= low
    assert told.control.profile is Profile.SAFE


WILD = [math.nan, math.inf, -math.inf, -1.0, 0.0, 1.0, 2.0, 1e300]


@pytest.mark.parametrize("profile", Profile)
def test_no_report_stops_voice_or_makes_it_more_than_its_ladder_has(profile: Profile) -> None:
    control = VoiceControl(profile)
    control.pieces_of_a_tick = True
    most = max(rung.path_bps(3) for rung in ladder(profile))
    now = 0.0
    for loss in WILD:
        for burst in WILD:
            for queue_s in WILD:
                for rtt_s in (None, *WILD):
                    now += 0.7
                    control.on_report(loss, burst, queue_s, rtt_s, now)
                    assert 20_000 < control.level.path_bps <= most
                    assert control.level.rung in ladder(profile)


def test_who_reports_more_often_is_not_heard_more() -> None:
    often, seldom = VoiceControl(), VoiceControl()
    for number in range(2_000):
        loss = 0.3 if number % 200 == 0 else 0.0
        often.on_report(loss, 2.0, 0.0, 0.05, number / 100)
        if number % 50 == 0:
            seldom.on_report(loss, 2.0, 0.0, 0.05, number / 100)
        assert often.level == seldom.level
