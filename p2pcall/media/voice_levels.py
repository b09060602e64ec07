"""Levels of voice: how long frames are, with how many bits, and which earlier ones travel along.

Rule: a level alone says how long its packets are, and in which of them there is room for small frames; nothing that
is said does. A profile has a ladder of them, from what a path of 24 kb/s carries, its headers counted, up to what a
good one does; on each rung more copies may travel, whose distances follow from how loss comes: next to each other
where it is random, apart where it comes in bursts. Leaves out when which level is taken (`voice_control`).
"""

from functools import cache
from typing import Final, NamedTuple

from p2pcall.media import constants as c
from p2pcall.types import Profile


class Rung(NamedTuple):
    """A step of a ladder."""

    ticks: int
    """In each frame."""
    bitrate_bps: int
    wideband: bool
    """Nothing above 8 kHz is coded: few bits are better spent below."""
    low_delay: bool
    """Encoded without the look-ahead that saves bits."""
    room_every: int
    """In each so manieth packet is room for small frames."""
    copies: int
    """Earlier frames in each packet at least."""

    @property
    def frame_bytes(self) -> int:
        """All frames are as long."""
        return self.bitrate_bps * self.ticks * c.TICK_MS // (8 * 1000)

    def sound_bytes(self, copies: int) -> int:
        """Of a payload with so many copies, without room."""
        return c.AUDIO_HEADER_BYTES + (1 + copies) * (c.AUDIO_COPY_HEADER_BYTES + self.frame_bytes)

    @property
    def room_bytes(self) -> int:
        """Of small frames in a packet with room: more where it is seldom."""
        return c.SLACK_BYTES if self.room_every == 1 else c.VOICE_ROOM_BYTES

    def path_bps(self, copies: int) -> float:
        """What the path has to carry, headers counted."""
        size = c.VOICE_AROUND_BYTES + self.sound_bytes(copies) + self.room_bytes / self.room_every
        return 8 * size / (self.ticks * c.TICK_S)


_RUNGS: Final = tuple(Rung(*rung) for rung in c.VOICE_RUNGS)
_LADDERS: Final = {
    Profile.FAST: tuple(_RUNGS[number] for number in c.VOICE_LADDER_FAST),
    Profile.NORMAL: tuple(_RUNGS[number] for number in c.VOICE_LADDER_NORMAL),
    Profile.SAFE: tuple(_RUNGS[number] for number in c.VOICE_LADDER_SAFE),
}
WITHOUT_PIECES: Final = _RUNGS[c.VOICE_RUNG_OF_FILES]
"""In place of frames of one tick where sound comes in pieces of two."""
_REACH: Final = {
    Profile.FAST: c.COPY_REACH_FAST,
    Profile.NORMAL: c.COPY_REACH_NORMAL,
    Profile.SAFE: c.COPY_REACH_SAFE,
}


def ladder(profile: Profile) -> tuple[Rung, ...]:
    """From what the poorest path carries to what the best does."""
    return _LADDERS[profile]


class VoiceLevel(NamedTuple):
    """A rung and the distances, in ticks, of the copies that travel along."""

    rung: Rung
    distances: tuple[int, ...]

    def payload_bytes(self, number: int) -> int:
        """To what size the packet of this number is to be padded."""
        room = 0 if number % self.rung.room_every else self.rung.room_bytes
        return self.rung.sound_bytes(len(self.distances)) + room

    @property
    def path_bps(self) -> float:
        """What the path has to carry, headers counted."""
        return self.rung.path_bps(len(self.distances))


def correlation(loss: float, burst: float) -> float:
    """Of the fate of a packet and the next one, 0 to 1 (never reached): `loss` and `burst` as for `residual`."""
    leaves_bad = 1.0 / max(burst, 1.0)
    return max(0.0, 1.0 - leaves_bad - leaves_bad * loss / max(1.0 - loss, c.COPY_LEAST_GOOD))


def residual(loss: float, burst: float, distances: tuple[int, ...]) -> float:
    """The part of frames that is lost with all their copies, these distances (in packets) behind.

    By Gilbert's model of a path that is now good, now bad: `loss` is how often it is bad, `burst` for how many packets.
    """
    stays = correlation(loss, burst)
    lost, before = loss, 0
    for distance in distances:
        lost *= loss + (1.0 - loss) * stays ** (distance - before)
        before = distance
    return lost


def copy_distances(rung: Rung, profile: Profile, loss: float, burst_ticks: float) -> tuple[int, ...]:
    """The fewest copies after which hardly anything is missing, and of those the nearest; if none does, the best."""
    loss = min(1.0, round(loss * c.COPY_LOSS_STEPS) / c.COPY_LOSS_STEPS)
    burst = max(1, round(burst_ticks / rung.ticks))
    return _copy_distances(rung, profile, loss, min(burst, c.COPY_MAX_BURST))


@cache
def _copy_distances(rung: Rung, profile: Profile, loss: float, burst: int) -> tuple[int, ...]:
    reach = _REACH[profile] // rung.ticks
    patterns = [p for p in c.COPY_PATTERNS if len(p) >= rung.copies and (p[-1:] or (0,))[0] <= reach]
    enough = [p for p in patterns if residual(loss, burst, p) <= c.COPY_RESIDUAL]
    best = min(patterns, key=lambda p: (round(residual(loss, burst, p), c.COPY_RESIDUAL_PLACES), len(p)))
    found = min(enough, key=lambda p: (len(p), p[-1:])) if enough else best
    return tuple(distance * rung.ticks for distance in found)
