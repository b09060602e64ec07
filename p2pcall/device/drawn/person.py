"""A drawn person who sings the song: the picture of the demo, without a camera.

A face with headphones that turns, nods, blinks, looks about, sings with its mouth (`song.mouth_at`) and
waves now and then. Shapes are ellipses and strokes with soft edges, each worked out in its own small box,
so a picture of 320x240 costs some 2 ms. Rules: a picture depends on its number only. Leaves out likeness.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from p2pcall.device.drawn import FPS, HEIGHT, WIDTH
from p2pcall.device.drawn.song import mouth_at

SMALL: Final = 2_000
"""Samples up to which the three planes are painted in one step: less to call, but more memory at once."""

Colour = tuple[int, int, int]
SKIN: Colour = (246, 196, 158)
SKIN_SHADE: Colour = (226, 160, 124)
HAIR: Colour = (92, 54, 40)
HAIR_SHINE: Colour = (134, 84, 58)
BLUSH: Colour = (240, 140, 120)
WHITE: Colour = (255, 252, 246)
IRIS: Colour = (46, 128, 132)
DARK: Colour = (46, 28, 30)
LIPS: Colour = (196, 74, 78)
MOUTH: Colour = (112, 30, 44)
TONGUE: Colour = (226, 104, 108)
JUMPER: Colour = (238, 190, 66)
JUMPER_SHADE: Colour = (214, 156, 44)
PHONES: Colour = (224, 66, 74)
PHONES_SHINE: Colour = (250, 122, 118)
NOTE: Colour = (255, 244, 214)


At = Callable[[float, float, float], tuple[float, float]]


class Rasteriser:
    """Draws soft-edged shapes into a picture of three planes, (3, height, width) float32."""

    def __init__(self, planes: np.ndarray) -> None:
        self.planes = planes  # planes: long rows are what numpy is quick at
        self.height, self.width = planes.shape[1:]

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, *, turn: float = 0.0, opacity: float = 1.0,
        above: float | None = None, below: float | None = None,
    ) -> None:  # fmt: skip
        """An ellipse turned by `turn` radians; only the part `above` or `below` a row, where given."""
        reach = max(rx, ry) + 1 if turn else 0.0
        cos, sin = math.cos(turn), math.sin(turn)

        def cover(across: np.ndarray, down: np.ndarray) -> np.ndarray:
            if turn:
                u, v = (across * cos + down * sin) / rx, (down * cos - across * sin) / ry
            else:
                u, v = across / rx, down / ry  # a row and a column
            u, v = u * u, v * v
            alpha = u + v
            np.sqrt(alpha, out=alpha)
            alpha *= -min(rx, ry)
            alpha += min(rx, ry) + 0.5
            if above is not None:
                alpha = np.minimum(alpha, above - y - down)
            if below is not None:
                alpha = np.minimum(alpha, down + y - below)
            return alpha

        self._paint(x, y, reach or rx + 1, reach or ry + 1, colour, opacity, cover)

    def stroke(
        self, x0: float, y0: float, x1: float, y1: float, width: float, colour: Colour, bend: float = 0.0
    ) -> None:
        """A round-ended stroke; `bend` moves its middle to its right hand side (left to right: down)."""
        half_x, half_y = (x1 - x0) / 2, (y1 - y0) / 2
        length = half_x * half_x + half_y * half_y
        bend_x, bend_y = -half_y * bend / math.sqrt(length), half_x * bend / math.sqrt(length)

        def cover(across: np.ndarray, down: np.ndarray) -> np.ndarray:
            along = across * (half_x / length) + down * (half_y / length)
            np.maximum(along, -1, out=along)
            np.minimum(along, 1, out=along)
            off_x, off_y = across - along * half_x, down - along * half_y
            if bend:
                bow = 1 - along * along
                off_x, off_y = off_x - bend_x * bow, off_y - bend_y * bow
            return width / 2 + 0.5 - np.sqrt(off_x * off_x + off_y * off_y)

        reach_x = abs(half_x) + abs(bend_x) + width / 2 + 1
        reach_y = abs(half_y) + abs(bend_y) + width / 2 + 1
        self._paint((x0 + x1) / 2, (y0 + y1) / 2, reach_x, reach_y, colour, 1.0, cover)

    def ring(self, x: float, y: float, radius: float, width: float, colour: Colour, above: float) -> None:
        """The part of a circle line above a row."""

        def cover(across: np.ndarray, down: np.ndarray) -> np.ndarray:
            alpha = width / 2 + 0.5 - np.abs(np.sqrt(across * across + down * down) - radius)
            cut: np.ndarray = np.minimum(alpha, above - y - down)
            return cut

        self._paint(x, y, radius + width, radius + width, colour, 1.0, cover)

    def _paint(
        self, x: float, y: float, reach_x: float, reach_y: float, colour: Colour, opacity: float,
        cover: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> None:  # fmt: skip
        left, right = max(0, int(x - reach_x)), min(self.width, int(x + reach_x) + 2)
        top, bottom = max(0, int(y - reach_y)), min(self.height, int(y + reach_y) + 2)
        if left >= right or top >= bottom:
            return
        across = np.arange(left - x, right - x - 0.5, dtype=np.float32)
        down = np.arange(top - y, bottom - y - 0.5, dtype=np.float32)[:, None]
        alpha = cover(across, down)
        np.maximum(alpha, 0, out=alpha)
        np.minimum(alpha, 1, out=alpha)
        if opacity < 1:
            alpha *= opacity
        box = self.planes[:, top:bottom, left:right]
        if alpha.size < SMALL:
            box += alpha * (np.array(colour, dtype=np.float32)[:, None, None] - box)
            return
        for plane, value in zip(box, colour, strict=True):
            change = value - plane
            change *= alpha
            plane += change


class DrawnPerson:
    """Draws picture number `n` of the person (15 a second)."""

    def __init__(self) -> None:
        self._room = _room()

    def draw(self, n: int) -> np.ndarray:
        """The picture as RGB, (240, 320, 3) uint8."""
        t = n / FPS
        painter = Rasteriser(self._room.copy())
        at, turn, tilt = _pose(t)
        _notes(painter, t)
        painter.ellipse(*at(0, -6, -5), 66, 76, HAIR)
        _body(painter, t)
        _head(painter, t, at, turn, tilt)
        _wave(painter, t)
        picture = np.empty((HEIGHT, WIDTH, 3), dtype=np.uint8)
        for channel, plane in enumerate(painter.planes):
            picture[:, :, channel] = plane
        return picture


def _room() -> np.ndarray:
    """An evening room: a wall lit from the left, with lights out of focus."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = np.exp(-(((x - 70) / 190) ** 2 + ((y - 60) / 150) ** 2))
    dark, lit = np.array((38, 58, 92), np.float32), np.array((64, 74, 70), np.float32)
    wall: np.ndarray = dark[:, None, None] + lit[:, None, None] * light
    painter = Rasteriser(wall)
    lights: tuple[tuple[int, int, int, Colour], ...] = (
        (34, 52, 22, (255, 196, 120)), (82, 26, 12, (255, 150, 110)), (286, 44, 26, (150, 200, 255)),
        (250, 96, 12, (255, 214, 150)), (24, 128, 14, (130, 210, 200)), (300, 130, 16, (240, 150, 180)),
    )  # fmt: skip
    for left, top, radius, colour in lights:
        painter.ellipse(left, top, radius, radius, colour, opacity=0.28)
        painter.ellipse(left, top, radius * 0.8, radius * 0.8, colour, opacity=0.2)
    return wall


def _notes(painter: Rasteriser, t: float) -> None:
    """Notes of music that rise beside the head."""
    for n, (side, begin) in enumerate(((-1, 0.0), (1, 1.3), (-1, 2.6), (1, 3.9))):
        age = ((t + begin) % 5.2) / 5.2
        x = 160 + side * (92 + 16 * n % 30 + 9 * math.sin(6 * age + n))
        y = 178 - 150 * age
        size = 5.5 * min(1.0, 6 * age, 6 * (1 - age))
        if size < 1:
            continue
        painter.ellipse(x, y, size, size * 0.75, NOTE, turn=-0.4)
        painter.stroke(x + size * 0.9, y, x + size * 0.9, y - 3.4 * size, size * 0.34, NOTE)
        painter.stroke(
            x + size * 0.9, y - 3.4 * size, x + 2.1 * size, y - 2.5 * size, size * 0.45, NOTE, bend=-0.5
        )


def _body(painter: Rasteriser, t: float) -> None:
    breath = 1.5 * math.sin(1.6 * t)
    lean = 3 * math.sin(0.55 * t)
    painter.ellipse(160 + lean, 262 + breath, 104, 68, JUMPER_SHADE)
    painter.ellipse(157 + lean, 264 + breath, 99, 66, JUMPER)
    painter.ellipse(160 + lean, 204 + breath, 27, 16, JUMPER_SHADE)
    painter.ellipse(160 + lean, 192 + breath, 20, 24, SKIN_SHADE)


def _pose(t: float) -> tuple[At, float, float]:
    """Where a point of the head is now, how far the head is turned (-1 to 1) and tilted (radians).

    A point is across and down from the middle and a depth; what lies further forward moves more when it
    turns.
    """
    turn = 0.75 * math.sin(0.83 * t) + 0.25 * math.sin(2.1 * t + 1)
    nod = 2.2 * math.sin(math.tau * t / 0.84) + 2 * math.sin(0.6 * t)  # 0.84 s: two beats of the song
    x, y = 160 + 7 * turn, 116 + nod
    tilt = 0.06 * math.sin(0.83 * t + 0.6)

    def at(across: float, down: float, depth: float) -> tuple[float, float]:
        across += depth * turn
        return x + across - tilt * down, y + down + tilt * across

    return at, turn, tilt


def _head(painter: Rasteriser, t: float, at: At, turn: float, tilt: float) -> None:
    painter.ellipse(*at(0, 8, 0), 55, 66, SKIN_SHADE, turn=tilt)
    painter.ellipse(*at(-1.5, 5, 0.5), 53, 63, SKIN, turn=tilt)
    painter.ellipse(*at(-22, -53, 6), 40, 20, HAIR, turn=-0.5 + tilt)
    painter.ellipse(*at(30, -52, 6), 32, 17, HAIR, turn=0.6 + tilt)
    painter.ellipse(*at(-24, -58, 8), 18, 5, HAIR_SHINE, turn=-0.5 + tilt, opacity=0.6)
    _face(painter, t, at, turn)
    _headphones(painter, at, turn)


def _headphones(painter: Rasteriser, at: At, turn: float) -> None:
    middle_x, middle_y = at(0, -6, -1)
    painter.ring(middle_x, middle_y, 70, 7, PHONES, above=middle_y + 4)
    for side in (-1, 1):
        squeeze = 1 + 0.28 * side * turn
        cup_x, cup_y = at(side * 64, 8, -3)
        painter.ellipse(cup_x, cup_y, max(6.0, 12 / squeeze), 21, PHONES)
        painter.ellipse(cup_x + 2 * side, cup_y - 3, max(3.0, 6 / squeeze), 12, PHONES_SHINE, opacity=0.7)
    start, end = at(-58, 22, -2), at(-30, 51, 15)
    painter.stroke(*start, *end, 3.2, DARK, bend=7)
    painter.ellipse(*end, 7, 5, DARK)


def _face(painter: Rasteriser, t: float, at: At, turn: float) -> None:
    mouth_open, roundness = mouth_at(t)
    gaze_x, gaze_y = 3.2 * math.sin(0.47 * t + 1) + 2 * turn, 1.4 * math.sin(0.71 * t)
    lid = _lid(t)
    lift = 3 * mouth_open + 2 * max(0.0, math.sin(0.9 * t))
    for side in (-1, 1):
        painter.ellipse(*at(side * 31, 27, 7), 11, 7.5, BLUSH, opacity=0.5)
        eye_x, eye_y = at(side * 22, -4, 9)
        _eye(painter, eye_x, eye_y, gaze_x, gaze_y, lid)
        brow_x, brow_y = at(side * 22, -25 - lift, 9)
        painter.stroke(brow_x - 11, brow_y - 2 * side, brow_x + 11, brow_y + 2 * side, 4.2, HAIR, bend=-4)
    nose_x, nose_y = at(0, 14, 15)
    painter.ellipse(nose_x + 1.5, nose_y + 1.5, 7.5, 6, SKIN_SHADE)
    painter.ellipse(nose_x, nose_y, 7, 6, SKIN)
    painter.ellipse(nose_x - 2, nose_y - 2.5, 2.4, 1.6, WHITE, opacity=0.55)
    _mouth(painter, *at(0, 39, 11), mouth_open, roundness)


def _lid(t: float) -> float:
    """How far the eyes are closed, 0 to 1: a blink every few seconds, at times a double one."""
    for begin in (1.1, 4.3, 4.7, 8.2):
        since = (t % 9.5) - begin
        if 0 <= since < 0.28:
            return math.sin(math.pi * since / 0.28)
    return 0.0


def _eye(painter: Rasteriser, x: float, y: float, gaze_x: float, gaze_y: float, lid: float) -> None:
    if lid > 0.75:
        painter.stroke(x - 12, y + 2, x + 12, y + 2, 3.4, DARK, bend=5)
        return
    half = 14.5 * (1 - 0.8 * lid)
    painter.ellipse(x, y - 1, 13.5, half + 1.5, DARK)
    painter.ellipse(x, y, 12.5, half, WHITE)
    edge = {"below": y - half + 1.5, "above": y + half - 0.5}
    painter.ellipse(x + gaze_x, y + gaze_y, 8.6, 9.2, IRIS, **edge)
    painter.ellipse(x + gaze_x, y + gaze_y, 4.8, 5.2, DARK, **edge)
    painter.ellipse(x + gaze_x - 3, y + gaze_y - 3.6, 2.9, 2.9, WHITE, **edge)
    painter.ellipse(x + gaze_x + 3, y + gaze_y + 3.4, 1.5, 1.5, WHITE, opacity=0.8, **edge)


def _mouth(painter: Rasteriser, x: float, y: float, mouth_open: float, roundness: float) -> None:
    if mouth_open < 0.12:
        painter.stroke(x - 17, y - 2, x + 17, y - 2, 4, LIPS, bend=9)
        return
    wide = 18 - 8 * roundness
    tall = 3 + 13 * mouth_open
    top = y - 0.45 * tall * (1 - roundness)  # a laughing mouth is flat above, a round one is not
    painter.ellipse(x, y, wide + 2.5, tall + 2.5, LIPS, below=top - 2.5)
    painter.ellipse(x, y, wide, tall, MOUTH, below=top)
    painter.ellipse(x, y + 0.75 * tall, wide * 0.65, tall * 0.5, TONGUE, above=y + tall - 1.5)
    if roundness < 0.5:
        painter.ellipse(x, y, wide - 2, tall, WHITE, below=top, above=top + 0.28 * tall + 1)


def _wave(painter: Rasteriser, t: float) -> None:
    """A hand that comes up at the right and waves, for three of every eleven seconds."""
    since = (t % 11.0) - 1.5
    if not 0 <= since < 3:
        return
    up = min(1.0, since / 0.4, (3 - since) / 0.4)
    up = up * up * (3 - 2 * up)
    angle = 0.35 * math.sin(9 * since) * up
    x, y = 268 + 14 * math.sin(angle), 262 - 100 * up
    painter.stroke(x + 6, y + 90, x, y + 18, 30, JUMPER)
    painter.ellipse(x, y + 16, 17, 8, JUMPER_SHADE)
    for n, (out, length) in enumerate(((-0.62, 21), (-0.24, 29), (0.04, 32), (0.32, 28))):
        way = angle + out
        root = (x - 11 + 7 * n + 5 * math.sin(angle), y - 8)
        tip = (root[0] + length * math.sin(way), root[1] - length * math.cos(way))
        painter.stroke(*root, *tip, 8.4, SKIN)
    thumb = angle - 1.25
    painter.stroke(x - 10, y + 3, x - 10 + 20 * math.sin(thumb), y + 3 - 20 * math.cos(thumb), 9, SKIN)
    painter.ellipse(x, y, 17, 17, SKIN)
    painter.ellipse(x + 2, y + 3, 10, 9, SKIN_SHADE, opacity=0.35)
