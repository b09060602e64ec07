"""Files as they are in the world, sent by a real call and recorded at the other end: all of it, upright, in time.

The calls of one test run side by side.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import picture
import pytest
import realfiles as made
import sound
from harness import P2P
from pairs import Start, best_call, dialling, listening, media

Colour = tuple[int, int, int]
RED, GREEN, BLUE, WHITE = (200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 200)
PIECE_S = 0.05
STILL = ("--max-duration", "1.5")
FINITE = ("--hangup-on-eof",)


@dataclass(frozen=True, slots=True)
class Sent:
    """One file that was sent: the caller's process, and what the other side recorded."""

    alice: P2P
    heard: Path
    seen: Path

    def pitches(self) -> list[tuple[int, float]]:
        """What was heard for more than a tenth of a second: Hz (a whole hundred) and seconds."""
        hundreds = [round(hz / 100) * 100 for hz in made.pitches(sound.read_wav(self.heard), PIECE_S)]
        return [(hz, count * PIECE_S) for hz, count in made.runs(hundreds) if hz and count > 2]

    def greys(self) -> list[tuple[int, int]]:
        """How bright the pictures were, and how many there were of each."""
        return made.runs([int(seen.mean()) for _, seen in picture.read(self.seen)], near=12)

    def bright_at(self) -> float:
        """When the picture turned bright."""
        return next(at for at, seen in picture.read(self.seen) if seen.mean() > 130)

    def heard_at(self) -> float:
        """When the tone began."""
        return next(n for n, hz in enumerate(made.pitches(sound.read_wav(self.heard), 0.02)) if hz) * 0.02


Sending = tuple[Sequence[str], Sequence[str]]
"""What alice sends, as media options, and how long."""


def all_sent(p2p: Start, place: Path, sendings: Mapping[str, Sending]) -> dict[str, Sent]:
    """A call for each of these, side by side."""
    bobs = {}
    for name in sendings:
        recording = media("silence", place / f"{name}.wav", "none", place / f"{name}.mkv")
        bobs[name] = listening(p2p, "--answer", "anyone", "--once", using=recording, name=f"bob-{name}")
    alices = {
        name: dialling(p2p, bobs[name][1], *how_long, using=using, name=f"alice-{name}")
        for name, (using, how_long) in sendings.items()
    }
    for name, alice in alices.items():
        assert alice.wait_exit() == 0, alice.report()
        assert bobs[name][0].wait_exit() == 0
    return {name: Sent(alices[name], place / f"{name}.wav", place / f"{name}.mkv") for name in sendings}


def check(
    p2p: Start,
    tmp_path: Path,
    sendings: Mapping[str, Sending],
    judge: Callable[[Mapping[str, Sent]], None],
) -> Mapping[str, Sent]:
    """What a machine that stands still can spoil is tried again."""
    return best_call(p2p, tmp_path, lambda start, place: all_sent(start, place, sendings), judge)


def sounds(place: Path, files: Mapping[str, bytes]) -> dict[str, Sending]:
    """Each sent as sound, to its end."""
    return {
        name.partition(".")[0]: (media(made.write(place / name, data)), FINITE)
        for name, data in files.items()
    }


def pictures(place: Path, files: Mapping[str, bytes], how_long: Sequence[str]) -> dict[str, Sending]:
    """Each sent as picture."""
    return {
        name.partition(".")[0]: (media(video_in=made.write(place / name, data)), how_long)
        for name, data in files.items()
    }


# ---- sound


def test_the_whole_of_a_file_is_heard_whatever_changes_within_it(p2p: Start, tmp_path: Path) -> None:
    one = made.coded("libmp3lame", "mp3", 400, 44_100)
    files = {
        "layout.mp3": one + made.coded("libmp3lame", "mp3", 800, 44_100, 2),
        "rate.mp3": one + made.coded("libmp3lame", "mp3", 800),
        "tag.mp3": one + made.id3(bytes(200_000)) + made.coded("libmp3lame", "mp3", 800, 44_100),
        "chain.opus": made.coded("libopus", "ogg", 400) + made.coded("libopus", "ogg", 800, 48_000, 2),
        "transport.ts": made.coded("aac", "mpegts", 400, 44_100)
        + made.coded("aac", "mpegts", 800, 44_100, 2),
        "lossless.flac": made.coded("flac", "flac", 400, 44_100) + made.coded("flac", "flac", 800, 48_000, 2),
    }

    def judge(every: Mapping[str, Sent]) -> None:
        for name, one in every.items():
            heard = one.pitches()
            assert [hz for hz, _ in heard] == [400, 800], (name, heard)
            assert all(1.35 <= seconds <= 1.75 for _, seconds in heard), (name, heard)

    check(p2p, tmp_path, sounds(tmp_path, files), judge)


def test_what_cannot_be_decoded_is_told_once_with_how_much(p2p: Start, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
    tone = made.coded("libmp3lame", "mp3", 400, 44_100, seconds=0.5)
    path = made.write(tmp_path / "cover.mp3", tone + made.id3(noise) + tone)
    sent = all_sent(p2p, tmp_path, {"cover": (media(path), FINITE)})
    told = [event["text"] for event in sent["cover"].alice.all_events("warning")]
    assert told == [f"{path}: 300 kB of it cannot be decoded, and are left out"]


def test_the_default_track_or_the_one_that_is_asked_for(p2p: Start, tmp_path: Path) -> None:
    path = made.write(tmp_path / "two.mkv", made.two_sounds())
    mixed = made.write(tmp_path / "many.wav", made.wav(made.sine(600, 1.0), 18))
    sendings: dict[str, Sending] = {
        "default": (media(path), FINITE),
        "first": (media(path), ("--audio-track", "1", *FINITE)),
        "mixed": (media(mixed), FINITE),
    }

    def judge(every: Mapping[str, Sent]) -> None:
        assert {name: [hz for hz, _ in one.pitches()] for name, one in every.items()} == {
            "default": [800], "first": [400], "mixed": [600],
        }  # fmt: skip

    check(p2p, tmp_path, sendings, judge)


def test_a_track_that_is_not_there_is_told_with_those_that_are(p2p: Start, tmp_path: Path) -> None:
    path = made.write(tmp_path / "two.mkv", made.two_sounds())
    alice = dialling(p2p, "127.0.0.1:9", "--audio-track", "3", using=media(path))
    assert alice.wait_exit() == 2
    error = alice.wait_event("error")
    assert error["slug"] == "no-such-track"
    assert "1 (opus), 2 (opus)" in error["hint"]


# ---- picture


def close(one: Sequence[int], other: Sequence[int], by: int) -> bool:
    return all(abs(int(a) - int(b)) <= by for a, b in zip(one, other, strict=True))


def shows(seen: picture.Picture, corners: Sequence[Colour], shape: float) -> bool:
    """Whether these colours are in the middle of its quarters, and it is so wide for its height."""
    height, width = seen.shape[:2]
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    places += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    right = all(close(seen[place], colour, 14) for place, colour in zip(places, corners, strict=True))
    return right and abs(width / height - shape) < 0.03


def test_pictures_come_upright_and_in_their_shape(p2p: Start, tmp_path: Path) -> None:
    still = {f"exif{n}.jpg": made.jpeg(made.quarters(), n) for n in (2, 5, 6)}
    films = {"right.mp4": made.turned("90"), "mirrored.mp4": made.turned("mirrored")}
    films["wide.mkv"] = made.film([made.quarters((720, 576))] * 15, "matroska", shape=Fraction(64, 45))
    films["cover.mp4"] = made.with_cover()
    sendings = pictures(tmp_path, still, STILL) | pictures(tmp_path, films, FINITE)
    right: dict[str, tuple[tuple[Colour, ...], float]] = {
        "exif2": ((GREEN, RED, WHITE, BLUE), 16 / 9),
        "exif5": ((RED, BLUE, GREEN, WHITE), 9 / 16),
        "exif6": ((BLUE, RED, WHITE, GREEN), 9 / 16),
        "right": ((BLUE, RED, WHITE, GREEN), 9 / 16),
        "mirrored": ((GREEN, RED, WHITE, BLUE), 16 / 9),
        "wide": ((RED, GREEN, BLUE, WHITE), 16 / 9),
        "cover": ((RED, GREEN, BLUE, WHITE), 16 / 9),
    }

    def judge(every: Mapping[str, Sent]) -> None:
        for name, one in every.items():
            *_, (_, last) = picture.read(one.seen)
            assert shows(last, *right[name]), name

    check(p2p, tmp_path, sendings, judge)


def test_greys_stay_within_four_levels_from_file_to_recording(p2p: Start, tmp_path: Path) -> None:
    sendings = pictures(tmp_path, {"ramp.jpg": made.jpeg(made.ramp())}, STILL)

    def judge(every: Mapping[str, Sent]) -> None:
        *_, (_, last) = picture.read(every["ramp"].seen)
        height, width = last.shape[:2]
        for level in (16, 64, 128, 200, 245):
            at = round((level + 0.5) * width / 256)
            assert close(last[height // 2, at], (level,) * 3, 4), level

    check(p2p, tmp_path, sendings, judge)


def test_time_stamps_may_begin_anew_jump_or_be_missing(p2p: Start, tmp_path: Path) -> None:
    first, second = made.GREYS[:3], made.GREYS[3:]
    every_grey = [made.grey(value) for value in made.GREYS for _ in range(10)]
    files = {
        "anew.ts": made.steps(first) + made.steps(second),
        "jump.ts": made.steps(first) + made.steps(second, begin=100.0),
    }
    sendings = pictures(tmp_path, files, FINITE)
    raw = made.write(tmp_path / "raw.h264", made.film(every_grey, "h264"))
    sendings["raw"] = (media(video_in=raw), FINITE)
    sendings["slow"] = (media(video_in=raw), ("--fps", "10", *FINITE))

    def judge(every: Mapping[str, Sent]) -> None:
        for name, one in every.items():
            seen = one.greys()
            assert [value for value, _ in seen] == pytest.approx(made.GREYS, abs=6), (name, seen)
            least, most = (4, 8) if name == "raw" else (7, 11)
            assert all(least <= count <= most for _, count in seen), (name, seen)

    check(p2p, tmp_path, sendings, judge)


def test_the_first_picture_is_seen_in_every_call(p2p: Start, tmp_path: Path) -> None:
    """Also one that is followed by another only after seconds."""
    slides = made.film([made.grey(v) for v in (40, 90, 140)], "matroska", times=[0, 2.5, 2.7])

    def judge(every: Mapping[str, Sent]) -> None:
        seen = every["slides"].greys()
        assert [value for value, _ in seen] == pytest.approx((40, 90, 140), abs=6), seen

    check(p2p, tmp_path, pictures(tmp_path, {"slides.mkv": slides}, FINITE), judge)


# ---- both


def test_sound_and_picture_of_one_file_stay_together(p2p: Start, tmp_path: Path) -> None:
    files = {"late": made.together(begin=1.5), "hole": made.together(hole=(0.5, 2.0))}
    sendings: dict[str, Sending] = {}
    for name, data in files.items():
        path = made.write(tmp_path / f"{name}.mkv", data)
        sendings[name] = (media(path, video_in=path), FINITE)

    def judge(every: Mapping[str, Sent]) -> None:
        for name, one in every.items():
            assert abs(one.heard_at() - one.bright_at()) <= 0.08, (name, one.heard_at(), one.bright_at())

    check(p2p, tmp_path, sendings, judge)


def test_they_stay_together_in_a_loop(p2p: Start, tmp_path: Path) -> None:
    """The sound of the file is shorter than its picture: the next round waits for both."""
    path = made.write(tmp_path / "short.mkv", made.together(hole=(3.5, 6.0), flip=3.0))
    sendings: dict[str, Sending] = {"loop": (media(path, video_in=path), ("--loop", "--max-duration", "9.5"))}

    def judge(every: Mapping[str, Sent]) -> None:
        one = every["loop"]
        pieces = made.pitches(sound.read_wav(one.heard), 0.02)
        later = next(n for n, hz in enumerate(pieces) if hz and n > 6.5 / 0.02) * 0.02
        seen = list(picture.read(one.seen))
        bright = next(at for at, shown in seen if at > 6.5 and shown.mean() > 130)
        assert abs(later - bright) <= 0.08, (later, bright)

    check(p2p, tmp_path, sendings, judge)
