"""How loud sound is, and what a microphone's loudness tells. Pure.

Rules: a piece of sound now and then is looked at, not each; of silence the level is `LOWEST_DBFS`. Each thing is told
once: that a microphone is silent if it was from the start on, that it clips, and that somebody who is muted talks, once
each time it is muted. Levels are of the root of the mean square, in decibels to full scale. Leaves out when to look,
and how it is told.
"""

import math
from array import array
from collections import deque
from collections.abc import Sequence
from enum import StrEnum

from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import constants as c


class LevelMeter:
    """The level of one direction: of the last look, since the last question, and of all."""

    def __init__(self) -> None:
        self.dbfs = acoustic.LOWEST_DBFS
        """Of the piece looked at last."""
        self.clipped = False
        """That piece has met the end of the scale."""
        self._sum = self._all_sum = 0.0
        self._looks = self._all_looks = 0

    def look(self, pcm: bytes) -> None:
        """At one piece of sound."""
        samples = array("h", pcm)
        some = samples[:: acoustic.LEVEL_STEP]
        square = (math.hypot(*some) / c.PCM_MAX) ** 2 / max(1, len(some))
        self.dbfs = _dbfs(square)
        loud = (
            max(samples, default=0) >= acoustic.CLIP_LEVEL or min(samples, default=0) <= -acoustic.CLIP_LEVEL
        )
        self.clipped = (
            loud and sum(abs(one) >= acoustic.CLIP_LEVEL for one in samples) >= acoustic.CLIP_SAMPLES
        )
        self._sum += square
        self._looks += 1

    def interval(self) -> float | None:
        """The level since the last call of this; None if nothing was looked at."""
        told = _mean(self._sum, self._looks)
        self._all_sum, self._all_looks = self._all_sum + self._sum, self._all_looks + self._looks
        self._sum, self._looks = 0.0, 0
        return told

    def total(self) -> float | None:
        """The level of all that was looked at."""
        return _mean(self._all_sum + self._sum, self._all_looks + self._looks)

    @property
    def height(self) -> int:
        """The last look as a meter shows it: 0 to `METER_STEPS`."""
        share = (self.dbfs - acoustic.METER_FROM_DBFS) / -acoustic.METER_FROM_DBFS
        return min(acoustic.METER_STEPS, max(0, math.ceil(share * acoustic.METER_STEPS)))


class Finding(StrEnum):
    """What is told of a microphone; the value is the warning's."""

    SILENT = "microphone-silent"
    CLIPPING = "microphone-clipping"
    MUTED = "muted-talking"


class MicrophoneWatch:
    """Told each look at a microphone."""

    def __init__(self) -> None:
        self._silent_looks = 0
        self._heard = self._told_clipping = self._told_talking = False
        self._clips: deque[bool] = deque(maxlen=acoustic.CLIP_OF_LOOKS)
        self._levels: deque[float] = deque(maxlen=acoustic.TALK_FLOOR_LOOKS)
        self._talks: deque[bool] = deque(maxlen=acoustic.TALK_OF_LOOKS)

    def look(self, dbfs: float, *, clipped: bool, muted: bool) -> Finding | None:
        """What is to be told now, if anything."""
        if self._is_silent(dbfs):
            return Finding.SILENT
        if self._clips_often(clipped):
            return Finding.CLIPPING
        return Finding.MUTED if self._talks_unheard(dbfs, muted) else None

    def _is_silent(self, dbfs: float) -> bool:
        self._heard = self._heard or dbfs >= acoustic.SILENT_DBFS
        if self._heard:
            return False
        self._silent_looks += 1
        return self._silent_looks == acoustic.SILENT_LOOKS

    def _clips_often(self, clipped: bool) -> bool:
        self._clips.append(clipped)
        tell = not self._told_clipping and sum(self._clips) >= acoustic.CLIP_LOOKS
        self._told_clipping = self._told_clipping or tell
        return tell

    def _talks_unheard(self, dbfs: float, muted: bool) -> bool:
        self._levels.append(dbfs)
        if not muted:
            self._told_talking = False
            self._talks.clear()
            return False
        self._talks.append(dbfs >= max(acoustic.TALK_DBFS, min(self._levels) + acoustic.TALK_ABOVE_DB))
        tell = not self._told_talking and sum(self._talks) >= acoustic.TALK_LOOKS
        self._told_talking = self._told_talking or tell
        return tell


class Verdict(StrEnum):
    """What a recording says about its microphone."""

    GOOD = "good"
    SILENT = "silent"
    QUIET = "quiet"
    CLIPPING = "clipping"


def judge(levels: Sequence[float], clipped: int) -> Verdict:
    """By the levels of a recording's pieces, and how many of them clip."""
    by_loudness = sorted(levels)
    if not by_loudness or by_loudness[-1] < acoustic.SILENT_DBFS:
        return Verdict.SILENT
    if clipped >= acoustic.CLIPPED_PIECES:
        return Verdict.CLIPPING
    loud = by_loudness[-1 - len(by_loudness) // acoustic.LOUDEST_PART]
    return Verdict.QUIET if loud < acoustic.QUIET_DBFS else Verdict.GOOD


def peak_dbfs(pcm: bytes) -> float:
    """The highest sample of a recording."""
    samples = array("h", pcm)
    peak = max(max(samples, default=0), -min(samples, default=0))
    return _dbfs((peak / c.PCM_MAX) ** 2)


def _dbfs(square: float) -> float:
    return (
        max(acoustic.LOWEST_DBFS, acoustic.DB_A_TENFOLD * math.log10(square))
        if square > 0
        else acoustic.LOWEST_DBFS
    )


def _mean(total: float, count: int) -> float | None:
    return round(_dbfs(total / count), 1) if count else None
