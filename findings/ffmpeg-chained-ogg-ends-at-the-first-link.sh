#!/usr/bin/env bash
# A chained Ogg whose second link has another number of channels: FFmpeg stops at the join and cannot go on.
#
# Versions   PyAV 18.1.0 (FFmpeg 8.1), CPython 3.11, Linux.
# Expected   Both links, as RFC 3533 allows chains of any streams and internet radio has them.
# Seen       The first link, then AVERROR_PATCHWELCOME from reading; asked again, the end of the file. Links of one
#            channel count are read to the end.
# Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5

cat >"$place/chain.py" <<'EOF'
import io
import sys

import av
import numpy as np


def link(layout):
    channels, out = {"mono": 1, "stereo": 2}[layout], io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48000, layout=layout)
        for n in range(50):
            wave = np.sin(np.arange(n * 960, (n + 1) * 960) / 20).astype("<f4") / 4
            block = np.repeat(wave, channels)[None]
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
            frame.sample_rate, frame.pts = 48000, n * 960
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def read(data):
    seconds, told = 0.0, ""
    with av.open(io.BytesIO(data)) as container:
        for _ in range(3):
            try:
                for packet in container.demux(audio=0):
                    seconds += sum(frame.samples for frame in packet.decode()) / 48000
                break
            except av.FFmpegError as error:
                told = type(error).__name__
    return round(seconds, 1), told


same, other = read(link("mono") + link("mono")), read(link("mono") + link("stereo"))
print("mono, mono:  ", same)
print("mono, stereo:", other)
sys.exit(not (same == (2.0, "") and other == (1.0, "PatchWelcomeError")))
EOF
"$place/venv/bin/python" "$place/chain.py" || { echo "changed"; exit 1; }
echo "as described"
