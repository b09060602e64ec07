"""Voice over paths with a bottleneck and with loss: it fits itself to the path, and comes back when the path does."""

from itertools import pairwise

import pytest
from voice import burst_loss, random_loss
from voice_path import VoicePath

from p2pcall.media.voice_control import VoiceControl
from p2pcall.types import Profile


@pytest.mark.parametrize("queue_s", [0.3, 0.5])
def test_a_path_of_24_kb_s_in_all_carries_a_conversation(queue_s: float) -> None:
    path = VoicePath(kbps=24, queue_s=queue_s).run(180)
    assert path.missing(170) < 0.05
    assert path.sent_kbps(170) < 26


@pytest.mark.parametrize(("kbps", "least"), [(40, 30), (64, 42), (100, 80), (130, 100), (200, 170)])
def test_voice_takes_what_the_path_has_and_loses_next_to_nothing(kbps: float, least: float) -> None:
    path = VoicePath(kbps=kbps).run(120)
    assert path.missing(110) < 0.005
    assert least < path.sent_kbps(110) < 1.05 * kbps


@pytest.mark.parametrize("pieces_of_a_tick", [False, True], ids=["file", "microphone"])
@pytest.mark.parametrize("phase_s", [0.05, 0.5, 0.95])
def test_level_follows_a_path_down_in_two_seconds_and_up_again_in_fifteen(
    pieces_of_a_tick: bool, phase_s: float
) -> None:
    control = VoiceControl()
    control.pieces_of_a_tick = pieces_of_a_tick
    path = VoicePath(control, kbps=1000).run(20 + phase_s)
    best = control.level.path_bps
    path.kbps = 40
    path.run(2.2)
    assert control.level.path_bps < 45_000
    path.run(60)
    assert path.missing(30) < 0.01
    path.kbps = 1000
    path.run(15)
    assert control.level.path_bps == best
    assert path.missing(10) == 0


@pytest.mark.parametrize(
    ("loss", "most"), [(0.02, 0.003), (0.05, 0.003), (0.10, 0.004), (0.20, 0.005), (0.30, 0.015)]
)
@pytest.mark.parametrize("profile", Profile)
def test_random_loss_leaves_little_missing(profile: Profile, loss: float, most: float) -> None:
    control = VoiceControl(profile)
    control.pieces_of_a_tick = True
    path = VoicePath(control, loss=random_loss(loss)).run(120)
    assert path.missing(100) < most
    assert control.level.path_bps < 550_000
    lasted = [later - earlier for earlier, later in pairwise(changes(path))]
    assert not lasted or min(lasted) > 0.9, "sizes stay for a while"


def changes(path: VoicePath) -> list[float]:
    """When packets had another size than before."""
    levels = [(at, level.rung, len(level.distances)) for at, _, level in path.sent]
    return [one[0] for before, one in pairwise(levels) if one[1:] != before[1:]]


@pytest.mark.parametrize(
    ("profile", "loss", "burst", "most"),
    [
        (Profile.NORMAL, 0.05, 3, 0.006),
        (Profile.NORMAL, 0.10, 3, 0.012),
        (Profile.NORMAL, 0.10, 5, 0.03),
        (Profile.SAFE, 0.10, 3, 0.008),
        (Profile.SAFE, 0.10, 5, 0.012),
    ],
)
def test_bursts_are_mended_by_distant_copies(
    profile: Profile, loss: float, burst: float, most: float
) -> None:
    path = VoicePath(VoiceControl(profile), loss=burst_loss(loss, burst)).run(180)
    assert path.missing(160) < most


def test_loss_of_the_path_itself_brings_no_rung_down() -> None:
    path = VoicePath(kbps=400, loss=random_loss(0.2)).run(120)
    best = VoiceControl().level.rung
    kept = sum(level.rung == best for _, _, level in path.sent)
    assert kept / len(path.sent) > 0.9


@pytest.mark.parametrize("kbps", [60, 100])
def test_a_path_that_drops_what_is_too_much_without_a_queue_is_not_flooded(kbps: float) -> None:
    path = VoicePath(kbps=kbps, queue_s=0.06).run(120)
    assert path.missing(100) < 0.02
    assert path.sent_kbps(100) < 1.3 * kbps


@pytest.mark.parametrize("lie", [(1.0, 255.0, 60.0), (1.0, 0.0, 0.0), (0.0, 255.0, 60.0), (0.5, 3.0, 0.05)])
def test_a_peer_that_lies_in_its_reports_neither_stops_voice_nor_makes_it_much(
    lie: tuple[float, float, float],
) -> None:
    path = VoicePath(hostile=lambda told: lie).run(60)
    assert path.missing(50) == 0
    assert 20 < path.sent_kbps(50) < 300


def test_sizes_depend_on_reports_alone() -> None:
    first, second = VoicePath(kbps=100, seed=1).run(60), VoicePath(kbps=100, seed=2).run(60)
    assert first.sent == second.sent
