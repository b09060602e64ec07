"""Virtual sound cards as in `pulse`, of a private PipeWire with WirePlumber, its PulseAudio server and ALSA plugin.

    with PipeWireServer(directory) as server:
        server.play("mic_a", wav)

Programs find the card by ALSA's `default`, which is PipeWire's own plugin, as on a Debian desktop; the helpers here
talk to its PulseAudio server. Each null sink has a microphone beside it, which gives what is played into the sink: a
stream that asks for a microphone is not given a monitor. Cards of the machine are left alone, and so is its session
bus: WirePlumber ends without a bus, so it has one of its own.
"""

import shutil
from pathlib import Path

import pulse
import sound
from pulse import ALL, PulseServer, Side, Sink

PROGRAMS = ("pipewire", "pipewire-pulse", "wireplumber", "dbus-daemon")
PLUGIN = "libasound_module_pcm_pipewire.so"
PLUGIN_AT = ("/usr/lib/*/alsa-lib", "/opt/pipewire-alsa/usr/lib/*/alsa-lib")
"""Debian does not install the package `pipewire-alsa` beside `pulseaudio`: `.ci/run` unpacks it."""
MICROPHONE, SPEAKER = "VIRTUAL_MICROPHONE", "VIRTUAL_SPEAKER"
"""Variables that name the nodes of a side; without them a stream is on the default ones."""
ASOUND = """\
pcm_type.pipewire {{ lib "{plugin}" }}
pcm.!default {{
  type pipewire
  playback_node {{ @func getenv vars [ {speaker} ] default "-1" }}
  capture_node {{ @func getenv vars [ {microphone} ] default "-1" }}
  hint {{ show on description "virtual card" }}
}}
"""
READY = "all is loaded"
CONFIG = {
    "pipewire/pipewire.conf.d/ready.conf": f'context.exec = [ {{ path = "echo" args = "{READY}" }} ]\n',
    "pipewire/pipewire-pulse.conf.d/ready.conf": f'context.exec = [ {{ path = "echo" args = "{READY}" }} ]\n',
    "wireplumber/main.lua.d/60-no-cards.lua": "".join(
        f"{monitor}_monitor.enabled = false\n" for monitor in ("alsa", "v4l2", "libcamera")
    ),
    "wireplumber/bluetooth.lua.d/60-no-cards.lua": "bluez_monitor.enabled = false\n",
}
"""The two servers say when they are up; the session manager (0.4) leaves real devices alone."""


def plugin() -> Path | None:
    """PipeWire's plugin for ALSA."""
    places = [path for place in PLUGIN_AT for path in sorted(Path("/").glob(f"{place[1:]}/{PLUGIN}"))]
    return places[0] if places else None


def missing() -> str | None:
    """Why there can be no such sound card here, or None if there can be."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} missing: apt-get install pipewire pipewire-pulse wireplumber dbus"
    if plugin() is None:
        return "PipeWire's plugin for ALSA is missing: apt-get install pipewire-alsa, or run .ci/run"
    return pulse.missing_for_portaudio()


class PipeWireServer(PulseServer):
    """All of it; up on entry, ended by its own pids on exit."""

    def env(self, side: Side | None = None, *, speaker: bool = True) -> dict[str, str]:
        """As there."""
        environ = super().env(side, speaker=speaker) | {
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "XDG_STATE_HOME": str(self.directory / "state"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.directory}/bus",
        }
        if side:
            environ[MICROPHONE] = self.source_of(f"mic_{side}")
        if side and speaker:
            environ[SPEAKER] = f"spk_{side}"
        return environ

    def source_of(self, sink: str) -> str:
        """As there."""
        return f"from_{sink}"

    def _start(self) -> None:
        for name, text in CONFIG.items():
            path = self.directory / "config" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        asound = ASOUND.format(plugin=plugin(), microphone=MICROPHONE, speaker=SPEAKER)
        (self.directory / "asound.conf").write_text(asound)
        bus = self.env()["DBUS_SESSION_BUS_ADDRESS"]
        command = [
            "dbus-daemon",
            "--session",
            "--nofork",
            "--nopidfile",
            "--print-address",
            f"--address={bus}",
        ]
        self._run(command, ready="unix:path=")
        self._run(["pipewire"], ready=READY)
        self._run(["pipewire-pulse"], ready=READY)
        self._run(["wireplumber"], ready=None)
        for sink in ALL:
            self.plug(sink)
        self.set_default("unused")

    def _sink(self, name: str) -> list[str]:
        return [f"sink_name={name}", f"rate={sound.RATE}", "channels=2"]

    def _is_of(self, row: str, sink: Sink) -> bool:
        return super()._is_of(row, sink) or f"source_name={self.source_of(sink)}" in row.split()

    def plug(self, sink: Sink) -> None:
        """As there."""
        super().plug(sink)
        self.control(
            "load-module",
            "module-remap-source",
            f"master={sink}.monitor",
            f"source_name={self.source_of(sink)}",
        )
