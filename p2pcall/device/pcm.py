"""Raw PCM of other rates, channels and kinds of samples than ours, made ours and back.

Leaves out where it comes from and goes to (`streams`).
"""

import av
import numpy as np

from p2pcall.device.base import Frames
from p2pcall.device.decoding import Sound
from p2pcall.device.pipes import PeekedReader
from p2pcall.device.raw import SAMPLES, RawFormat
from p2pcall.media.constants import FRAME_S, SAMPLE_RATE_HZ


def frames_of(reader: PeekedReader, form: RawFormat) -> Frames:
    """Frames of ours, of all that `reader` gives."""
    fmt, dtype = SAMPLES[form.samples]
    one = np.dtype(dtype).itemsize * form.channels
    piece = one * max(1, round(form.rate_hz * FRAME_S))
    sound = Sound()
    sound.begin(None)
    while pcm := reader.exactly(piece):
        samples = np.frombuffer(pcm[: len(pcm) // one * one], dtype).reshape(-1, form.channels)
        if not len(samples):
            break
        mono = samples.astype(np.float32).mean(axis=1).astype(dtype)
        frame = av.AudioFrame.from_ndarray(mono[np.newaxis], format=fmt, layout="mono")
        frame.sample_rate = form.rate_hz
        yield from sound.add(frame, after_skip=False)
    yield from sound.end()


class Converter:
    """Called with frame after frame of ours, gives what they are in the other form."""

    def __init__(self, form: RawFormat) -> None:
        self._form = form
        self._kind, self._dtype = SAMPLES[form.samples]
        self._resampler = av.AudioResampler(self._kind, "mono", form.rate_hz)

    def __call__(self, pcm: bytes) -> bytes:
        """What is ready of it."""
        dtype = np.dtype(self._dtype)
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        pieces = [
            np.frombuffer(bytes(out.planes[0])[: out.samples * dtype.itemsize], dtype)
            for out in self._resampler.resample(frame)
        ]
        mono = np.concatenate(pieces) if pieces else np.empty(0, dtype)
        return np.repeat(mono, self._form.channels).tobytes()
