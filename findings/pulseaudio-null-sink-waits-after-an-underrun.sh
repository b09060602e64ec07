#!/usr/bin/env bash
# ALSA's PulseAudio plugin on an idle null sink: after each underrun two seconds go by before it takes sound again.
#
# Versions   PulseAudio 16.1, alsa-lib 1.2.8, alsa-plugins 1.2.7.1 (Debian 12), Linux.
# Expected   A player that was late for half a second prepares the PCM, as it must after an underrun, and goes on: with
#            40 ms of latency it may wait some 40 ms for room.
# Seen       One write takes 1.98 s, after each underrun again. The plugin frees its stream when the PCM is prepared and
#            makes another (four inputs for one PCM, below). In between the sink has no stream, goes by a latency of 2 s
#            of its own (`pactl list sinks`) and renders so much silence ahead; the new stream, for which 50 ms are
#            agreed, waits until that is over. With norewinds=1, where the sink's own latency is 50 ms, the longest
#            write takes 0.02 s.
# Needs      Debian's pulseaudio, libasound2, libasound2-plugins. Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
server=
finish() { [ -z "$server" ] || kill "$server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$place"; }
trap finish EXIT
export HOME=$place XDG_RUNTIME_DIR=$place PULSE_RUNTIME_PATH=$place PULSE_STATE_PATH=$place
export PULSE_COOKIE=$place/cookie PULSE_SERVER=unix:$place/native ALSA_CONFIG_PATH=$place/asound.conf
cat >"$ALSA_CONFIG_PATH" <<'EOF'
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
EOF

cat >"$place/play.py" <<'EOF'
import ctypes
import time

alsa = ctypes.CDLL("libasound.so.2")
alsa.snd_pcm_writei.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong]
alsa.snd_pcm_writei.restype = ctypes.c_long
alsa.snd_pcm_prepare.argtypes = alsa.snd_pcm_close.argtypes = [ctypes.c_void_p]
S16, INTERLEAVED, BLOCK = 2, 3, 480
pcm = ctypes.c_void_p()
assert alsa.snd_pcm_open(ctypes.byref(pcm), b"default", 0, 0) == 0
assert alsa.snd_pcm_set_params(pcm, S16, INTERLEAVED, 1, 48000, 0, 40_000) == 0


def play(blocks):
    longest = underruns = 0
    for _ in range(blocks):
        before = time.monotonic()
        if alsa.snd_pcm_writei(pcm, bytes(2 * BLOCK), BLOCK) < 0:
            underruns += 1
            assert alsa.snd_pcm_prepare(pcm) == 0
        longest = max(longest, time.monotonic() - before)
    return underruns, longest


play(100)
waits = []
for _ in range(3):
    time.sleep(0.5)  # late, as a player is on a busy machine
    underruns, longest = play(100)
    assert underruns == 1, underruns
    waits.append(longest)
alsa.snd_pcm_close(pcm)
print(" ".join(f"{wait:.2f}" for wait in waits))
EOF

waits() { # of three underruns, with these options of the sink
  rm -f "$place/log"
  pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --log-target="file:$place/log" --log-level=info \
    -L "module-null-sink sink_name=sink rate=48000 channels=2 $1" \
    -L "module-native-protocol-unix auth-anonymous=1 socket=$place/native" >/dev/null 2>&1 &
  server=$!
  for _ in $(seq 100); do grep -q "startup complete" "$place/log" 2>/dev/null && break; sleep 0.1; done
  timeout 60 python3 "$place/play.py" >"$place/waits"
  kill "$server"; wait "$server" 2>/dev/null || true
  server=
  echo "${1:-as it is}: longest write after an underrun $(cat "$place/waits") s, $(grep -c "Created input" "$place/log") inputs"
}

each() { tr ' ' '\n' <"$place/waits" | awk "!($1) { exit 1 }"; }

waits "norewinds=1"
each '$1 < 0.5' || { echo "changed"; exit 1; }
waits ""
each '$1 > 1.5' || { echo "changed"; exit 1; }
[ "$(grep -c "Created input" "$place/log")" = 4 ] || { echo "changed"; exit 1; }
echo "as described"
