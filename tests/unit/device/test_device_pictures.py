"""The drawn person, the song and the test card: the same every time, alive, and in step with each other."""

from itertools import pairwise

import numpy as np
import pytest

from p2pcall.device.drawn import song
from p2pcall.device.drawn.person import FPS, DrawnPerson, Rasteriser
from p2pcall.device.drawn.song import LENGTH_S, MELODY, mouth_at, song_pcm
from p2pcall.device.drawn.testcard import COUNTER_BITS, HEIGHT, RAMP_END, SQUARE, TestCard


def test_a_person_depends_on_the_number_only() -> None:
    one, two = DrawnPerson(), DrawnPerson()
    first = one.draw(7)
    one.draw(30)
    assert first.shape == (240, 320, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(one.draw(7), two.draw(7))


def test_a_person_moves_all_the_time_and_stays_in_the_picture() -> None:
    person = DrawnPerson()
    pictures = [person.draw(n).astype(int) for n in range(0, 12 * FPS, 3)]
    changes = [np.abs(a - b).mean() for a, b in pairwise(pictures)]
    assert min(changes) > 0.3
    assert max(changes) < 25
    for picture in pictures:
        face = picture[60:170, 110:210]
        skin = (np.abs(face - (246, 196, 158)).sum(axis=-1) < 90).mean()
        assert skin > 0.3


def test_the_mouth_follows_the_song() -> None:
    rest_at, note_at, begin = None, None, 0.0
    for note in MELODY:
        middle = begin + note.beats * song.BEAT_S / 2
        if note.vowel == "a" and note_at is None:
            note_at = middle
        if not note.vowel and rest_at is None:
            rest_at = middle
        begin += note.beats * song.BEAT_S
    assert rest_at is not None
    assert note_at is not None
    assert begin == pytest.approx(LENGTH_S)
    assert mouth_at(rest_at)[0] == 0
    assert mouth_at(note_at) == song.MOUTHS["a"]
    assert mouth_at(note_at + 7 * LENGTH_S) == pytest.approx(mouth_at(note_at))
    quiet, loud = (energy_at(at) for at in (rest_at, note_at))
    assert quiet < 0.5 * loud


def energy_at(seconds: float) -> float:
    samples = np.frombuffer(song_pcm(), "<i2").astype(float)
    at = int(seconds * 48_000)
    return float(np.sqrt(np.mean(samples[at : at + 2_400] ** 2)))


def test_the_song_is_as_loud_as_a_voice_and_loops_without_a_seam() -> None:
    pcm = song_pcm()
    assert len(pcm) % 1_920 == 0
    assert len(pcm) / 96_000 == pytest.approx(LENGTH_S, abs=0.02)
    samples = np.frombuffer(pcm, "<i2").astype(float)
    assert np.abs(samples).max() == pytest.approx(song.PEAK * 32_767, abs=2)
    assert -24 < 20 * np.log10(np.sqrt(np.mean(samples**2)) / 32_768) < -12
    assert abs(samples.mean()) < 30
    steps = np.abs(np.diff(samples))
    assert abs(samples[0] - samples[-1]) < np.percentile(steps, 99.9)
    assert song_pcm() is pcm


def test_the_song_is_in_tune() -> None:
    samples = np.frombuffer(song_pcm(), "<i2").astype(float)
    begin = MELODY[0].beats * song.BEAT_S
    note = MELODY[1]
    part = samples[int((begin + 0.25) * 48_000) : int((begin + note.beats * song.BEAT_S - 0.05) * 48_000)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    hz = np.fft.rfftfreq(len(part), 1 / 48_000)
    near = (hz > 400) & (hz < 650)
    assert hz[near][np.argmax(spectrum[near])] == pytest.approx(261.63 * 2 ** (note.pitch / 12), rel=0.02)


def test_shapes_beyond_the_edge_are_cut_off() -> None:
    painter = Rasteriser(np.zeros((3, 20, 30), np.float32))
    painter.ellipse(-50, -50, 5, 5, (255, 255, 255))
    painter.stroke(100, 100, 120, 100, 3, (255, 255, 255))
    assert painter.planes.max() == 0
    painter.ellipse(0, 0, 6, 6, (255, 0, 0))
    painter.ellipse(29, 19, 6, 6, (0, 0, 255), opacity=0.5)
    assert painter.planes[0, 0, 0] == 255
    assert painter.planes[2, 19, 29] == pytest.approx(127.5)


def read_counter(picture: np.ndarray) -> int:
    """The number on a card (RGB, any size); what `draw` was given, modulo 65,536."""
    height, width = picture.shape[:2]
    row = picture[round((RAMP_END + 20 + SQUARE / 2) * height / HEIGHT)]
    middles = ((np.arange(COUNTER_BITS) + 0.5) * width / COUNTER_BITS).astype(int)
    bits = row[middles].mean(axis=1) > 127
    return int(sum(int(bit) << COUNTER_BITS - 1 - place for place, bit in enumerate(bits)))


@pytest.mark.parametrize("number", [0, 1, 2, 255, 12_345, 65_535])
def test_the_card_tells_its_number(number: int) -> None:
    picture = TestCard().draw(number)
    assert read_counter(picture) == number
    assert read_counter(picture[::2, ::2]) == number


def test_the_card_moves() -> None:
    card = TestCard()
    assert not np.array_equal(card.draw(0), card.draw(1))
    assert np.array_equal(card.draw(3), TestCard().draw(3))
    assert card.draw(0)[10, 10].tolist() == [192, 192, 192]
