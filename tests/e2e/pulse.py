"""Virtual sound cards: a PulseAudio of our own with a card for each side of a call.

    with PulseServer(directory) as pulse:
        pulse.play("mic_a", wav)                       # what A says
        with pulse.record("spk_b") as heard:           # what B hears
            heard.wait_samples(48_000)
        run(["p2pcall", ...], env=os.environ | pulse.env("a"))

Four null sinks: `mic_a`, `mic_b` (what is played into them comes out of the microphone of that side: their
monitors) and `spk_a`, `spk_b` (the loudspeakers; their monitors are recorded). ALSA's default device is
PulseAudio, so PortAudio finds the card as `default`. All is in one directory: no other server is seen or
disturbed, also not as root. A fifth sink is the server's default, so that no stream is ever moved.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import sound

Side = Literal["a", "b"]
Sink = Literal["mic_a", "spk_a", "mic_b", "spk_b", "unused"]
SIDES: tuple[Side, ...] = ("a", "b")
SINKS: tuple[Sink, ...] = ("mic_a", "spk_a", "mic_b", "spk_b")
ALL: tuple[Sink, ...] = ("unused", *SINKS)
PROGRAMS = ("pulseaudio", "pactl", "parec", "paplay")
ALSA_STOCK = Path("/usr/share/alsa/alsa.conf")
WAIT_S = 20.0
BLOCK_BYTES = 1920
"""20 ms."""


def missing() -> str | None:
    """Why there can be no virtual sound card here, or None if there can be."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} missing: apt-get install pulseaudio pulseaudio-utils"
    return None


def missing_for_portaudio() -> str | None:
    """The same, for tests in which the program opens the card itself."""
    import ctypes.util

    if ctypes.util.find_library("portaudio") is None:
        return "PortAudio missing: apt-get install libportaudio2"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA's PulseAudio plugin missing: apt-get install libasound2-plugins"
    return missing()


class Recording:
    """A recording that goes on; what has come so far can be waited for and looked at."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: IO[bytes]) -> None:
        self._process = process
        self._pipe = pipe
        self._data = bytearray()
        self._came: list[float] = []
        """When each sample 0 would have been heard, by each delivery."""
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="recording")
        self._thread.start()

    def _read(self) -> None:
        while data := os.read(self._pipe.fileno(), 65536):
            now = time.monotonic()
            with self._changed:
                self._came.append(now - len(self._data) / (2 * sound.RATE))
                self._data += data
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def samples(self) -> sound.Samples:
        """All that was heard so far."""
        with self._changed:
            return sound.from_pcm(bytes(self._data))

    @property
    def began(self) -> float:
        """When its first sample was heard: a sink gives what it plays at once, and a busy machine some of it late."""
        with self._changed:
            came = sorted(self._came)
        return came[len(came) // 5]

    def time_of(self, sample: int) -> float:
        """When this sample was heard, on the clock of `time.monotonic`."""
        return self.began + sample / sound.RATE

    def sample_at(self, when: float) -> int:
        """Which sample was heard then."""
        return round((when - self.began) * sound.RATE)

    def wait_samples(self, count: int, timeout: float = WAIT_S) -> None:
        """Wait until this many samples are there in all."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._data) >= 2 * count or self._ended, timeout)
            if not enough or len(self._data) < 2 * count:
                raise AssertionError(f"{len(self._data) // 2} of {count} samples were recorded")

    def wait_more(self, seconds: float, timeout: float = WAIT_S) -> None:
        """Wait until this much has been heard from now on."""
        with self._changed:
            count = len(self._data) // 2 + int(seconds * sound.RATE)
        self.wait_samples(count, timeout + seconds)

    def wait_sound(self, level: float = 0.01, timeout: float = WAIT_S) -> None:
        """Wait until 20 ms of the recording have at least this level (RMS; 1 is the loudest there is)."""
        checked, found = 0, False

        def loud() -> bool:
            nonlocal checked, found
            while not found and len(self._data) - checked >= BLOCK_BYTES:
                part = sound.from_pcm(bytes(self._data[checked : checked + BLOCK_BYTES]))
                checked += BLOCK_BYTES
                found = sound.rms(part) >= level
            return found or self._ended

        with self._changed:
            self._changed.wait_for(loud, timeout)
        if not found:
            raise AssertionError(f"nothing as loud as {level} was recorded in {timeout} s")

    def stop(self) -> sound.Samples:
        """End the recording; all that was heard."""
        if self._process.poll() is None:
            self._process.terminate()
        self._thread.join()
        if not self._pipe.closed:
            self._pipe.close()
        self._process.wait()
        return self.samples


class PulseServer:
    """The server; up on entry, ended by its own pid on exit."""

    def __init__(self, directory: Path, *, sink_options: str = "norewinds=1") -> None:
        """Without `sink_options` the sinks are as PulseAudio makes them: they start late and hold two seconds."""
        self.directory = directory
        self._sink_options = sink_options
        self.log: list[str] = []
        self._processes: list[subprocess.Popen[str]] = []
        self._players: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []

    def env(self, side: Side | None = None, *, speaker: bool = True) -> dict[str, str]:
        """What to add to the environment of a program on that side (None: our own helpers, and the defaults).

        Without `speaker` it plays on the default one.
        """
        environ = {
            "XDG_RUNTIME_DIR": str(self.directory),
            "PULSE_RUNTIME_PATH": str(self.directory),
            "PULSE_STATE_PATH": str(self.directory),
            "PULSE_COOKIE": str(self.directory / "cookie"),
            "PULSE_SERVER": f"unix:{self.directory}/native",
            "ALSA_CONFIG_PATH": str(self.directory / "asound.conf"),
        }
        if side:
            environ["PULSE_SOURCE"] = self.source_of(f"mic_{side}")
        if side and speaker:
            environ["PULSE_SINK"] = f"spk_{side}"
        return environ

    def source_of(self, sink: str) -> str:
        """The microphone that gives what is played into this sink."""
        return f"{sink}.monitor"

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        stock = f"<{ALSA_STOCK}>\n" if ALSA_STOCK.exists() else ""
        card = 'pcm.!default { type pulse hint { show on description "virtual card" } }\n'
        (self.directory / "asound.conf").write_text(f"{stock}{card}ctl.!default {{ type pulse }}\n")
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        command += ["--log-target=stderr", "--log-level=info", "--realtime=yes", "--high-priority=yes"]
        for name in ALL:
            command += ["-L", " ".join(("module-null-sink", *self._sink(name)))]
        socket = self.directory / "native"
        command += ["-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}"]
        self._run(command, ready="Daemon startup complete")
        self.set_default("unused")

    def _sink(self, name: str) -> list[str]:
        """The arguments of the module that is the card."""
        return [f"sink_name={name}", f"rate={sound.RATE}", "channels=2", *self._sink_options.split()]

    def _run(self, command: list[str], *, ready: str | None) -> None:
        """Start a part of the server, and wait until it says that it is ready, if it does say so."""
        process = subprocess.Popen(
            command,
            env=os.environ | self.env() | {"HOME": str(self.directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._processes.append(process)
        assert process.stdout is not None, "a pipe was asked for"
        started = threading.Event()
        reader = threading.Thread(
            target=self._read_log, args=(process.stdout, ready, started), name="pulse-log"
        )
        self._readers.append(reader)
        reader.start()
        if ready is not None and (not started.wait(WAIT_S) or process.poll() is not None):
            raise RuntimeError(f"{command[0]} did not start: " + "".join(self.log[-10:]))

    def _read_log(self, stream: IO[str], ready: str | None, started: threading.Event) -> None:
        with stream:
            for line in stream:
                self.log.append(line)
                if ready is not None and ready in line:
                    started.set()
        started.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send_signal(self, number: signal.Signals) -> None:
        """Send all parts of the server this signal."""
        for process in self._processes:
            process.send_signal(number)

    def close(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the players and the server, by this signal."""
        for player in self._players:
            if player.poll() is None:
                player.terminate()
            player.wait()
        self._players.clear()
        self.send_signal(number)
        self.send_signal(signal.SIGCONT)  # who stands still ends when it goes on
        for process in self._processes:
            try:
                process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            process.wait()
        for reader in self._readers:
            reader.join()
        self._processes.clear()
        self._readers.clear()

    def set_default(self, sink: Sink) -> None:
        """Have those who do not ask for a card play on this one, and hear what is played into it."""
        self.control("set-default-sink", sink)
        self.control("set-default-source", self.source_of(sink))

    def default_sink(self) -> Sink:
        """On which they play now."""
        name = self.control("get-default-sink").strip()
        return next(sink for sink in ALL if sink == name)

    def unplug(self, sink: Sink) -> None:
        """Pull the card out."""
        rows = self.control("list", "short", "modules").splitlines()
        for number in [row.split()[0] for row in reversed(rows) if self._is_of(row, sink)]:
            self.control("unload-module", number)

    def _is_of(self, row: str, sink: Sink) -> bool:
        """Whether a row of the list of modules is one of those that the card is made of."""
        return f"sink_name={sink}" in row.split()

    def plug(self, sink: Sink) -> None:
        """Plug it in, again."""
        self.control("load-module", "module-null-sink", *self._sink(sink))

    def control(self, *argv: str) -> str:
        """Run `pactl` with these arguments; what it says."""
        environ = os.environ | self.env()
        result = subprocess.run(["pactl", *argv], env=environ, capture_output=True, text=True, check=True)
        return result.stdout

    def play(self, sink: Sink, wav: Path) -> "subprocess.Popen[bytes]":
        """Start to play a WAV file into a sink; `wait` for the process to hear it to its end."""
        argv = ["paplay", f"--device={sink}", "--latency-msec=500", str(wav)]
        player = subprocess.Popen(argv, env=os.environ | self.env())
        self._players.append(player)
        return player

    @contextlib.contextmanager
    def record(
        self, sink: Sink, wav: Path | None = None, *, latency_ms: int | None = 10
    ) -> Iterator[Recording]:
        """Record what a sink plays, from when its first samples came until the end of the block, or `stop`.

        A recorder that is in no hurry (`latency_ms` None) leaves the sink as lazy as it is.
        With `wav`, it is written to that file in the end as well.
        """
        argv = ["parec", "--raw", f"--device={sink}.monitor", "--format=s16le", f"--rate={sound.RATE}"]
        argv += ["--channels=1", *([] if latency_ms is None else [f"--latency-msec={latency_ms}"])]
        process = subprocess.Popen(argv, env=os.environ | self.env(), stdout=subprocess.PIPE)
        assert process.stdout is not None, "a pipe was asked for"
        recording = Recording(process, process.stdout)
        try:
            recording.wait_samples(1)
            yield recording
        finally:
            samples = recording.stop()
            if wav is not None:
                sound.write_wav(wav, samples)
