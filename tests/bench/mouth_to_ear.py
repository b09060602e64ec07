"""From mouth to ear: two real processes with virtual sound cards and a bad network between them.

Chirps and speech are played into the microphone of the caller; it and the loudspeaker of the callee are recorded, each
on its own clock. Delay: each chirp in both. PESQ-WB (P.862.2) and STOI: speech in both, aligned as a whole, so a delay
that moves within it lowers both. `told`: what the callee's own `audio_delay_ms` says at the same time.
"""

import importlib
import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pulse
import sound
from calls import ANSWERS, Usage
from harness import P2P, Surroundings
from relay import Network, Relay

CHIRPS, CHIRP_S, GAP_S = 20, 0.06, (0.3, 0.45)
LOW_HZ, HIGH_HZ = 400.0, 3_200.0
SPEECH_S = 9.0
SETTLE_S = 4.0
"""For both speakers and jitter buffers to find their depth on this machine and this network."""
LIKE = 0.5
"""A chirp that is less alike than this has not arrived."""
LATE_S = GAP_S[0]
"""The longest delay that is looked for: then the next chirp may come."""
MEDIA = ("--audio-in", "default", "--audio-out", "default", "--no-video")


@dataclass(frozen=True, slots=True)
class Heard:
    """One call; milliseconds, per cent of a core, MiB, kb/s."""

    delay: float
    worst: float
    """Of the chirps, 95 of 100 are earlier."""
    told: float
    arrived: int
    pesq: float
    stoi: float
    cpu: float
    memory: float
    kbps: float


def chirps() -> tuple[sound.Samples, list[int]]:
    """The signal, and where in it each chirp begins."""
    chance = np.random.default_rng(1)
    t = np.arange(int(CHIRP_S * sound.RATE)) / sound.RATE
    phase = 2 * np.pi * (LOW_HZ * t + (HIGH_HZ - LOW_HZ) * t**2 / (2 * CHIRP_S))
    chirp = 0.3 * np.sin(phase) * np.hanning(t.size)
    parts, starts, at = [np.zeros(sound.RATE // 2)], [], sound.RATE // 2
    for _ in range(CHIRPS):
        gap = np.zeros(int(chance.uniform(*GAP_S) * sound.RATE))
        starts.append(at)
        parts += [chirp, gap]
        at += chirp.size + gap.size
    whole: sound.Samples = np.concatenate(parts)
    return whole + sound.ROOM * chance.standard_normal(whole.size), starts


def spoken(directory: Path) -> Path:
    """Chirps, then speech, in a quiet room."""
    signal, _ = chirps()
    return sound.write_wav(directory / "said.wav", np.concatenate([signal, sound.speech(SPEECH_S)]))


def call_once(
    directory: Path,
    network: Network,
    said: Path,
    *,
    options: Sequence[str] = (),
    env: dict[str, str],
    program: Sequence[str],
) -> Heard:
    """One call over this network, both sides with the same options."""
    with ExitStack() as stack:
        server = stack.enter_context(pulse.PulseServer(directory / "pulse"))
        mouth = stack.enter_context(server.record("mic_a", latency_ms=5))
        ear = stack.enter_context(server.record("spk_b", latency_ms=5))
        places = {
            side: Surroundings(directory / side, env=server.env(card) | env, program=program)
            for side, card in (("listen", pulse.SIDES[1]), ("dial", pulse.SIDES[0]))
        }
        argv = ["listen", "--json", *ANSWERS, "--port", "0", *MEDIA, *options]
        listener = stack.enter_context(P2P(argv, places["listen"]))
        port = listener.wait_event("listening")["port"]
        relay = stack.enter_context(Relay(port))
        argv = ["dial", f"127.0.0.1:{relay.port}", "--json", *MEDIA, *options]
        dialler = stack.enter_context(P2P(argv, places["dial"]))
        dialler.wait_event("connected")
        relay.network = network
        stay(SETTLE_S)
        before = [Usage.of(side) for side in (listener, dialler)]
        told_before = len(listener.all_events("stats"))
        assert server.play("mic_a", said).wait() == 0
        after = [Usage.of(side) for side in (listener, dialler)]
        ear.wait_more(LATE_S)
        told = [event for event in listener.all_events("stats")[told_before:] if event["audio_delay_ms"]]
        sent = [event["tx_kbps"] for event in dialler.all_events("stats")[told_before:]]
        delays = list(delays_of(mouth, ear))
        pesq, stoi = quality(said, mouth, ear)
    return Heard(
        1000 * statistics.median(delays or [LATE_S]),
        1000 * float(np.percentile(delays or [LATE_S], 95)),
        statistics.median(event["audio_delay_ms"] for event in told),
        len(delays),
        pesq,
        stoi,
        max(end.cpu_percent_since(start) for start, end in zip(before, after, strict=True)),
        max(end.peak_mib for end in after),
        statistics.median(sent),
    )


def stay(seconds: float) -> None:
    """Nothing to wait for: the network and the cards do what they do."""
    threading.Event().wait(seconds)


def delays_of(mouth: pulse.Recording, ear: pulse.Recording) -> Iterator[float]:
    """Of each chirp that was heard, seconds."""
    signal, starts = chirps()
    said, heard = mouth.samples, ear.samples
    begin = int(sound.find(signal, said).lag_s * sound.RATE)
    size = int(CHIRP_S * sound.RATE)
    for start in starts:
        at = begin + start
        left = mouth.time_of(at)
        first = max(0, ear.sample_at(left))
        match = sound.find(said[at : at + size], heard[first : first + int(LATE_S * sound.RATE)])
        if match.likeness >= LIKE:
            yield ear.time_of(first + int(match.lag_s * sound.RATE)) - left


def quality(said: Path, mouth: pulse.Recording, ear: pulse.Recording) -> tuple[float, float]:
    """PESQ-WB and STOI of the speech."""
    speech = sound.read_wav(said)[-int(SPEECH_S * sound.RATE) :]
    reference = sound.aligned(speech, mouth.samples)
    heard = sound.aligned(reference, ear.samples)
    stoi = float(importlib.import_module("pystoi").stoi(reference, heard, sound.RATE))
    return sound.pesq_wideband(reference, ear.samples), stoi


def figures_of(network: str, heard: Heard) -> dict[str, float]:
    """A figure a line."""
    return {
        f"ear, {network}: delay, ms": heard.delay,
        f"ear, {network}: delay, 95 of 100, ms": heard.worst,
        f"ear, {network}: told less measured, ms": heard.told - heard.delay,
        f"ear, {network}: chirps that arrived": heard.arrived,
        f"ear, {network}: PESQ-WB": heard.pesq,
        f"ear, {network}: STOI": heard.stoi,
        f"ear, {network}: processor, %": heard.cpu,
        f"ear, {network}: memory, peak, MiB": heard.memory,
        f"ear, {network}: sent, kb/s": heard.kbps,
    }
