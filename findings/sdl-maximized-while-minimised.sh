#!/usr/bin/env bash
# SDL says that a window was maximised while it is minimised, so its events do not tell whether anybody sees it.
#
# Versions   SDL 2.32.10 (PyPI: pysdl2 0.9.17, pysdl2-dll 2.32.10), X11, openbox 3.6.1.
# Expected   After SDL_WINDOWEVENT_MINIMIZED nothing but RESTORED (or SHOWN) means that the window is seen again.
# Seen       A window that is maximised, then minimised, gets SDL_WINDOWEVENT_MAXIMIZED as soon as any other part of its
#            _NET_WM_STATE changes (here "above"), while SDL_GetWindowFlags still says HIDDEN. A program that takes the
#            event for "visible" draws, and asks for pictures, for a window that nobody sees: ask the flags.
# Needs      Debian's xvfb, openbox, xdotool, wmctrl. Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
started=()
finish() { for p in "${started[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$place"; }
trap finish EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pysdl2==0.9.17 pysdl2-dll==2.32.10

Xvfb -displayfd 3 -screen 0 1280x960x24 -nolisten tcp 3>"$place/display" >/dev/null 2>&1 & started+=($!)
for _ in $(seq 100); do [ -s "$place/display" ] && break; sleep 0.1; done
DISPLAY=:$(cat "$place/display"); export DISPLAY SDL_FRAMEBUFFER_ACCELERATION=0 SDL_VIDEO_X11_WMCLASS=telling
openbox >/dev/null 2>&1 & started+=($!)
for _ in $(seq 100); do xdotool get_num_desktops >/dev/null 2>&1 && break; sleep 0.1; done

cat >"$place/tell.py" <<'EOF'
import ctypes, sys, warnings
warnings.simplefilter("ignore")
import sdl2
sdl2.SDL_Init(sdl2.SDL_INIT_VIDEO)
window = sdl2.SDL_CreateWindow(b"telling", 50, 50, 320, 240, sdl2.SDL_WINDOW_RESIZABLE)
names = {getattr(sdl2, "SDL_WINDOWEVENT_" + name): name for name in ("MINIMIZED", "MAXIMIZED", "RESTORED")}
event = sdl2.SDL_Event()
while sdl2.SDL_WaitEvent(ctypes.byref(event)) and event.type != sdl2.SDL_QUIT:
    if event.type == sdl2.SDL_WINDOWEVENT and event.window.event in names:
        flags = sdl2.SDL_GetWindowFlags(window)
        unseen = flags & (sdl2.SDL_WINDOW_HIDDEN | sdl2.SDL_WINDOW_MINIMIZED)
        print(names[event.window.event], "unseen" if unseen else "seen", flush=True)
EOF
"$place/venv/bin/python" "$place/tell.py" >"$place/told" & started+=($!)
told() { for _ in $(seq 50); do [ "$(tail -n 1 "$place/told")" = "$1" ] && return; sleep 0.1; done; }
window=
for _ in $(seq 100); do window=$(xdotool search --onlyvisible --class '^telling$' 2>/dev/null) && break; sleep 0.1; done
wmctrl -r telling -b add,maximized_vert,maximized_horz; told "MAXIMIZED seen"
xdotool windowminimize "$window"; told "MINIMIZED unseen"
wmctrl -r telling -b add,above; told "MAXIMIZED unseen"
cat "$place/told"

[ "$(tail -n 2 "$place/told" | tr '\n' ',')" = "MINIMIZED unseen,MAXIMIZED unseen," ] || { echo "changed"; exit 1; }
echo "as described: maximised, it says, and nobody sees it"
