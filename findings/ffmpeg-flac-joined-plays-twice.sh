#!/usr/bin/env bash
# A FLAC file appended to another one of a different rate: FFmpeg gives part of the second one twice.
#
# Versions   PyAV 18.1.0 (FFmpeg 8.1), CPython 3.11, Linux.
# Expected   1.5 s of the first and 1.5 s of the second, as with two files of the same rate; or an error.
# Seen       No error; some 0.8 s of the second one come twice, and the last frame of the first one as well.
# Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5

cat >"$place/joined.py" <<'EOF'
import io
import sys

import av
import numpy as np


def flac(rate, layout):
    channels, out = {"mono": 1, "stereo": 2}[layout], io.BytesIO()
    with av.open(out, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout=layout)
        stream.codec_context.format = "s16"
        wave = (8000 * np.sin(np.arange(rate * 3 // 2) / 20)).astype("<i2")
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="s16", layout=layout)
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or 4608
        resampler = av.AudioResampler("s16", layout, rate, frame_size=size)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return out.getvalue()


def seconds(data):
    heard = {}
    with av.open(io.BytesIO(data)) as container:
        for packet in container.demux(audio=0):
            try:
                for frame in packet.decode():
                    kind = f"{frame.sample_rate} Hz {frame.layout.name}"
                    heard[kind] = heard.get(kind, 0) + frame.samples / frame.sample_rate
            except av.InvalidDataError:
                pass
    return {kind: round(value, 2) for kind, value in heard.items()}


same = seconds(flac(44100, "mono") + flac(44100, "stereo"))
other = seconds(flac(44100, "mono") + flac(48000, "stereo"))
print("one rate: ", same)
print("two rates:", other)
sys.exit(not (max(same.values()) < 1.6 and other["48000 Hz stereo"] > 2.0))
EOF
"$place/venv/bin/python" "$place/joined.py" || { echo "changed"; exit 1; }
echo "as described"
