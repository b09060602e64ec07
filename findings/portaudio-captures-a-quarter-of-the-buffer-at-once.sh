#!/usr/bin/env bash
# PortAudio on ALSA, as sounddevice opens it: a microphone's sound comes in lumps of a quarter of its buffer, not of
# `blocksize`.
#
# Versions   sounddevice 0.5.6 (PyPI), PortAudio 19.6.0, PulseAudio 16.1, alsa-plugins 1.2.7.1 (Debian 12), Linux.
# Expected   A stream without a callback, opened with blocksize=240 (5 ms) and latency=0.1: sound can be read 5 ms after
#            it was captured, and 0.1 s is what is kept for a reader who is late.
# Seen       With a look every millisecond, 1440 samples (30 ms) come at once: PortAudio makes the period a quarter of
#            the buffer, rounded up to whole blocks, and PulseAudio sends no less. latency=0.015 gives 5 ms at once, but
#            keeps 20 ms. `PaAlsa_SetNumPeriods(21)` of PortAudio's own ALSA interface, which sounddevice does not offer,
#            gives both: 5 ms at once, 105 ms kept. `stream.latency` tells 90 ms, 15 ms and 100 ms.
# Needs      python3 with venv, and Debian's pulseaudio, libportaudio2, libasound2-plugins. Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
server=
finish() { [ -z "$server" ] || kill "$server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$place"; }
trap finish EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q sounddevice==0.5.6
export HOME=$place XDG_RUNTIME_DIR=$place PULSE_RUNTIME_PATH=$place PULSE_STATE_PATH=$place
export PULSE_COOKIE=$place/cookie PULSE_SERVER=unix:$place/native ALSA_CONFIG_PATH=$place/asound.conf
cat >"$ALSA_CONFIG_PATH" <<'END'
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
END

cat >"$place/lumps.py" <<'END'
import ctypes
import sys
import time

import sounddevice

latency, periods = float(sys.argv[1]), int(sys.argv[2])
ctypes.CDLL(sounddevice._libname).PaAlsa_SetNumPeriods(periods)
stream = sounddevice.RawInputStream(
    samplerate=48000, channels=1, dtype="int16", blocksize=240, latency=latency
)
stream.start()
lumps, end = [], time.monotonic() + 3
while time.monotonic() < end:
    if count := stream.read_available:
        stream.read(count)
        lumps.append(count)
    time.sleep(0.001)
time.sleep(0.3)
kept = stream.read_available
stream.close()
print(sorted(lumps)[len(lumps) // 2] // 48, round(kept / 48))
END

pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --log-target="file:$place/log" --log-level=info \
  -L "module-null-sink sink_name=sink rate=48000 channels=2" \
  -L "module-native-protocol-unix auth-anonymous=1 socket=$place/native" >/dev/null 2>&1 &
server=$!
for _ in $(seq 100); do grep -q "startup complete" "$place/log" 2>/dev/null && break; sleep 0.1; done

seen=
for case in "0.1 4" "0.015 4" "0.1 21"; do
  # shellcheck disable=SC2086
  both=$(timeout 30 "$place/venv/bin/python" "$place/lumps.py" $case 2>/dev/null)
  echo "latency and periods $case: ms at once, and ms kept for a reader who is late: $both"
  seen="$seen $both"
done
[ "$seen" = " 30 120 5 20 5 105" ] || { echo "changed"; exit 1; }
echo "as described"
