#!/usr/bin/env bash
# PyAV cannot tell any side data of a picture with EXIF: asking for the display matrix raises ValueError.
#
# Versions   PyAV 18.1.0 (FFmpeg 8.1), CPython 3.11, Linux.
# Expected   `frame.side_data` lists what it knows, or the display matrix that FFmpeg makes of the EXIF orientation.
# Seen       FFmpeg hands out the EXIF block as side data of type 31, for which PyAV's enumeration has no name:
#            ValueError from any use of `side_data`. `frame.rotation` works, but tells a turn and not a mirroring: the
#            orientations 1 and 4, 2 and 3, 5 and 6, 7 and 8 cannot be told apart.
# Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5

cat >"$place/exif.py" <<'EOF'
import io
import struct
import sys
from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import Type

codec = av.CodecContext.create("mjpeg", "w")
codec.width, codec.height, codec.pix_fmt, codec.time_base = 64, 32, "yuvj420p", Fraction(1, 25)
grey = av.VideoFrame.from_ndarray(np.full((32, 64, 3), 128, np.uint8), format="rgb24").reformat(format="yuvj420p")
grey.pts = 0
photograph = b"".join(bytes(packet) for packet in [*codec.encode(grey), *codec.encode(None)])


def opened(orientation):
    body = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    exif = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    with av.open(io.BytesIO(photograph[:2] + exif + photograph[2:])) as container:
        return next(container.decode(video=0))


try:
    opened(6).side_data.get(Type.DISPLAYMATRIX)
    told = "something"
except ValueError as error:
    told = str(error)
turns = [opened(n).rotation for n in range(1, 9)]
print("side_data:", told)
print("rotation: ", turns)
same = all(turns[a - 1] % 360 == turns[b - 1] % 360 for a, b in ((1, 4), (2, 3), (5, 6), (7, 8)))
sys.exit(not ("31 is not a valid Type" in told and same))
EOF
"$place/venv/bin/python" "$place/exif.py" || { echo "changed"; exit 1; }
echo "as described"
