#!/usr/bin/env bash
# ALSA's PulseAudio plugin: how much is taken at once follows from the size of the buffer, not from the period.
#
# Versions   PulseAudio 16.1, alsa-lib 1.2.8, alsa-plugins 1.2.7.1 (Debian 12), Linux. The sink has norewinds=1.
# Expected   A player that keeps 20 ms of sound in a buffer, and looks every 5 ms, is heard 20 ms later, however large
#            the buffer is: room that is not used costs nothing, as with a sound card.
# Seen       The sink takes a quarter of the buffer in one go: 30 of 120 ms, 15 of 60 ms. A player that keeps less than
#            that in it is never heard: the PCM is in the state of an underrun (-32, EPIPE) before anything was taken.
#            So a short delay needs a small buffer, and a deep one helps only while more than a quarter of it is full.
# Needs      Debian's pulseaudio, libasound2, libasound2-plugins. Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
server=
finish() { [ -z "$server" ] || kill "$server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$place"; }
trap finish EXIT
export HOME=$place XDG_RUNTIME_DIR=$place PULSE_RUNTIME_PATH=$place PULSE_STATE_PATH=$place
export PULSE_COOKIE=$place/cookie PULSE_SERVER=unix:$place/native ALSA_CONFIG_PATH=$place/asound.conf
cat >"$ALSA_CONFIG_PATH" <<'END'
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
END

cat >"$place/keep.py" <<'END'
import ctypes
import sys
import time

alsa = ctypes.CDLL("libasound.so.2")
alsa.snd_pcm_writei.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong]
alsa.snd_pcm_writei.restype = alsa.snd_pcm_avail.restype = ctypes.c_long
for call in (alsa.snd_pcm_avail, alsa.snd_pcm_start, alsa.snd_pcm_close):
    call.argtypes = [ctypes.c_void_p]
S16, INTERLEAVED, NONBLOCK, PER_MS = 2, 3, 1, 48
buffer_ms, level_ms = map(int, sys.argv[1:])
pcm = ctypes.c_void_p()
assert alsa.snd_pcm_open(ctypes.byref(pcm), b"default", 0, NONBLOCK) == 0
assert alsa.snd_pcm_set_params(pcm, S16, INTERLEAVED, 1, 48000, 0, 1000 * buffer_ms) == 0
room, level = alsa.snd_pcm_avail(pcm), level_ms * PER_MS
assert room == buffer_ms * PER_MS, room


def write(samples):
    return alsa.snd_pcm_writei(pcm, bytes(2 * samples), samples)


assert write(level) == level
assert alsa.snd_pcm_start(pcm) == 0
taken, end = [], time.monotonic() + 2
while time.monotonic() < end:
    left = room - alsa.snd_pcm_avail(pcm)
    if left > room:
        break  # an error, which is negative
    if left < level:
        taken.append(level - left)
        if write(level - left) < 0:
            break
    time.sleep(0.005)
alsa.snd_pcm_close(pcm)
print(round(sorted(taken)[len(taken) // 2] / PER_MS) if taken else 0)
END

pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --log-target="file:$place/log" --log-level=info \
  -L "module-null-sink sink_name=sink rate=48000 channels=2 norewinds=1" \
  -L "module-native-protocol-unix auth-anonymous=1 socket=$place/native" >/dev/null 2>&1 &
server=$!
for _ in $(seq 100); do grep -q "startup complete" "$place/log" 2>/dev/null && break; sleep 0.1; done

seen=
for case in "120 20" "120 40" "120 100" "60 40"; do
  # shellcheck disable=SC2086
  taken=$(timeout 30 python3 "$place/keep.py" $case)
  echo "buffer and level of $case ms: $taken ms are taken at once"
  seen="$seen $taken"
done
[ "$seen" = " 0 30 30 15" ] || { echo "changed"; exit 1; }
echo "as described"
