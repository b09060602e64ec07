#!/usr/bin/env bash
# SDL's "software" renderer shows its pictures by OpenGL.
#
# Versions   SDL 2.32.10 (PyPI: pysdl2 0.9.17, pysdl2-dll 2.32.10), X11, Linux; Mesa's OpenGL without a graphics card.
# Expected   A renderer made with SDL_RENDERER_SOFTWARE, whose name is "software", needs no OpenGL.
# Seen       The first SDL_RenderPresent loads libGL and LLVM all the same: the window's surface is shown as an OpenGL
#            texture wherever OpenGL works, and Mesa works without a card. That took 5.2 instead of 1.7 ms of processor
#            for a picture of 320x240 in a window of 640x480, and 130 instead of 42 MiB.
#            With SDL_FRAMEBUFFER_ACCELERATION=0 the surface goes to the X server by shared memory, as one expects.
# Needs      Debian's xvfb, libgl1, libgl1-mesa-dri. Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
server=
finish() { [ -z "$server" ] || kill "$server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$place"; }
trap finish EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pysdl2==0.9.17 pysdl2-dll==2.32.10

Xvfb -displayfd 3 -screen 0 1280x960x24 -nolisten tcp 3>"$place/display" >/dev/null 2>&1 &
server=$!
for _ in $(seq 100); do [ -s "$place/display" ] && break; sleep 0.1; done
DISPLAY=:$(cat "$place/display"); export DISPLAY

cat >"$place/show.py" <<'EOF'
import ctypes, time, warnings
warnings.simplefilter("ignore")
import sdl2
sdl2.SDL_Init(sdl2.SDL_INIT_VIDEO)
window = sdl2.SDL_CreateWindow(b"window", 0, 0, 640, 480, 0)
renderer = sdl2.SDL_CreateRenderer(window, -1, sdl2.SDL_RENDERER_SOFTWARE)
info = sdl2.SDL_RendererInfo()
sdl2.SDL_GetRendererInfo(renderer, ctypes.byref(info))
begin = time.process_time()
for _ in range(30):
    sdl2.SDL_RenderClear(renderer)
    sdl2.SDL_RenderPresent(renderer)
ms = (time.process_time() - begin) / 30 * 1000
loaded = sorted({name for name in ("libGL", "libLLVM") for line in open("/proc/self/maps") if name in line})
version = sdl2.SDL_version()
sdl2.SDL_GetVersion(ctypes.byref(version))
print(f"{version.major}.{version.minor}.{version.patch} {info.name.decode()} {'+'.join(loaded) or 'none'}")
import sys
print(f"{ms:.1f} ms of processor for an empty picture", file=sys.stderr)
EOF
echo "by default:"
default=$(env -u SDL_FRAMEBUFFER_ACCELERATION "$place/venv/bin/python" "$place/show.py"); echo "$default"
echo "with SDL_FRAMEBUFFER_ACCELERATION=0:"
plain=$(SDL_FRAMEBUFFER_ACCELERATION=0 "$place/venv/bin/python" "$place/show.py"); echo "$plain"

[ "$default" = "2.32.10 software libGL+libLLVM" ] || { echo "changed: $default"; exit 1; }
[ "$plain" = "2.32.10 software none" ] || { echo "changed: $plain"; exit 1; }
echo "as described"
