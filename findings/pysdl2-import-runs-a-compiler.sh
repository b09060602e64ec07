#!/usr/bin/env bash
# Importing PySDL2 runs ldconfig, the compiler and the linker, although its own SDL is installed beside it.
#
# Versions   PySDL2 0.9.17 with pysdl2-dll 2.32.10, CPython 3.11, Linux.
# Expected   pysdl2-dll carries SDL and tells PySDL2 where: a look into that folder, and no program started.
# Seen       `import sdl2` also asks ctypes.util.find_library for each name with and without a d at its end, and uses
#            the answers only where the folder has nothing. Where the system has no SDL, each question runs ldconfig,
#            gcc and ld: programs are started, a folder for temporary files must be writable (else the import fails),
#            and the import takes several times as long. With that search answered by None it works as well.
# Exits 0 as long as it is so.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pysdl2==0.9.17 pysdl2-dll==2.32.10

cat >"$place/count.py" <<'EOF'
import ctypes.util, sys, time, warnings
warnings.simplefilter("ignore")
started = []
sys.addaudithook(lambda event, args: started.append(args[0]) if event == "subprocess.Popen" else None)
if "without" in sys.argv:
    ctypes.util.find_library = lambda name: None
begin = time.perf_counter()
import sdl2
print(f"{1000 * (time.perf_counter() - begin):.0f} ms", file=sys.stderr)
assert "sdl2dll" in sdl2.dll.dll._libfile, sdl2.dll.dll._libfile
print("programs" if started else "none")
EOF
as_it_is=$("$place/venv/bin/python" "$place/count.py"); echo "as it is: $as_it_is"
without=$("$place/venv/bin/python" "$place/count.py" without); echo "without the search: $without"
[ "$as_it_is" = programs ] && [ "$without" = none ] || { echo "changed"; exit 1; }
echo "as described"
