"""For a listener's eye: spectrograms of sent and received speech, one above the other, as a PNG.

    PYTHONPATH=tests/e2e python tests/bench/spectrogram.py OUT.png [--network "20 % loss"] [--seconds 6]

A real call of two processes, from a file to a file, over a relay that loses packets with a seed. Beside the picture
the places are listed where what was received is much softer than what was sent (holes), and much louder above all
speech (clicks). Both go from 0 to 8 kHz, and from 0 to -80 dB of the loudest.
"""

import argparse
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import sound
from calls import ANSWERS
from harness import P2P, Surroundings
from numpy.typing import NDArray
from relay import NETWORKS, Network, Relay

WINDOW, HOP = 1024, 240
TOP_HZ, FLOOR_DB = 8_000, -80.0
ROWS_A_BIN = 2
GAP_ROWS = 8
TICK_S = 0.5
HEARD_DB, HOLE_DB, HOLE_S = -40.0, 15.0, 0.02
"""Sent at least so loud and received so much softer for so long: a hole."""
CLICK_HZ, CLICK_DB = 10_000, 25.0
"""So much louder up there than what was sent: a click."""
COLOURS = np.array(
    [(0, 0, 4), (60, 15, 110), (150, 40, 100), (225, 100, 40), (250, 190, 60), (252, 255, 200)]
)
Grid = NDArray[np.float64]


def levels(samples: sound.Samples) -> Grid:
    """dB of full scale: a row a frequency, a column a moment."""
    count = (len(samples) - WINDOW) // HOP + 1
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:count]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) / (WINDOW / 4)
    return np.asarray(20 * np.log10(spectrum + 1e-6).T, np.float64)


def painted(grid: Grid, loudest: float) -> NDArray[np.uint8]:
    """Low frequencies at the bottom; a white tick below each half second."""
    bins = int(TOP_HZ * WINDOW / sound.RATE)
    part = np.clip((grid[:bins][::-1] - loudest - FLOOR_DB) / -FLOOR_DB, 0, 1) * (len(COLOURS) - 1)
    low = np.minimum(part.astype(int), len(COLOURS) - 2)
    mixed = COLOURS[low] + (part - low)[..., None] * (COLOURS[low + 1] - COLOURS[low])
    rows = np.repeat(mixed.astype(np.uint8), ROWS_A_BIN, axis=0)
    ticks = np.zeros((GAP_ROWS, rows.shape[1], 3), np.uint8)
    ticks[: GAP_ROWS // 2, :: round(TICK_S * sound.RATE / HOP)] = 255
    return np.concatenate([rows, ticks])


def png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Eight bits, RGB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = picture.shape
    lines = b"".join(b"\0" + row.tobytes() for row in picture)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def received(directory: Path, said: Path, network: Network) -> sound.Samples:
    """What is written at the other end of a call."""
    heard = directory / "heard.wav"
    media = ("--video-in", "none", "--video-out", "none")
    argv = ["listen", "--json", *ANSWERS, "--port", "0", "--once", "--audio-in", "silence", *media]
    with P2P([*argv, "--audio-out", str(heard)], Surroundings(directory / "listen")) as listener:
        port = listener.wait_event("listening")["port"]
        with Relay(port, seed=1) as relay:
            argv = [
                "dial",
                f"127.0.0.1:{relay.port}",
                "--json",
                "--audio-in",
                str(said),
                "--audio-out",
                "none",
            ]
            with P2P([*argv, *media, "--hangup-on-eof"], Surroundings(directory / "dial")) as dialler:
                dialler.wait_event("connected")
                relay.network = network
                assert dialler.wait_exit(60) == 0
            listener.wait_exit()
    return sound.read_wav(heard)


def places(found: NDArray[np.bool_], least_s: float) -> Iterator[tuple[float, float]]:
    """From when, and for how long, it was found."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], found.astype(int), [0]])))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        seconds = (last - first) * HOP / sound.RATE
        if seconds >= least_s:
            yield first * HOP / sound.RATE, seconds


def told(sent: Grid, heard: Grid) -> Iterator[str]:
    """Holes and clicks, in words."""
    width = min(sent.shape[1], heard.shape[1])
    speech, high = (
        slice(4, int(4_000 * WINDOW / sound.RATE)),
        slice(int(CLICK_HZ * WINDOW / sound.RATE), None),
    )

    def power(grid: Grid, rows: slice) -> NDArray[np.float64]:
        return np.asarray(10 * np.log10(np.sum(10 ** (grid[rows, :width] / 10), axis=0)), np.float64)

    lost = power(sent, speech) - power(heard, speech)
    for at, seconds in places((power(sent, speech) > HEARD_DB) & (lost > HOLE_DB), HOLE_S):
        yield f"hole at {at:.2f} s, {1000 * seconds:.0f} ms"
    for at, _ in places(power(heard, high) - power(sent, high) > CLICK_DB, 0):
        yield f"click at {at:.2f} s"


def main(argv: Sequence[str]) -> int:
    """Make a call, draw it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", choices=sorted(NETWORKS), default="20 % loss")
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="p2pcall-bench-") as scratch:
        said = sound.speech_wav(Path(scratch) / "said.wav", options.seconds)
        reference = sound.read_wav(said)
        heard = sound.aligned(reference, received(Path(scratch), said, NETWORKS[options.network]))
    sent, came = levels(reference), levels(heard)
    loudest = float(sent.max())
    width = min(sent.shape[1], came.shape[1])
    panels = [painted(grid[:, :width], loudest) for grid in (sent, came)]
    png(options.out, np.concatenate(panels))
    print(f"{options.network}: above what was sent, below what was received; a tick is {TICK_S} s")
    for line in told(sent, came):
        print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
