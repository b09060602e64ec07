"""`p2pcall devices --test`: says that it records, shows how loud it is, plays it back, and says what was found."""

import asyncio
import json as jsonlib
from typing import Final

from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.device.factory import is_speaker, open_audio_sink, open_audio_source
from p2pcall.engine.offload import offload
from p2pcall.engine.sound_test import RECORD_S, SoundFindings, SoundTest, Verdict
from p2pcall.env import Env
from p2pcall.errors import ExitCode
from p2pcall.media.acoustic_constants import METER_FROM_DBFS
from p2pcall.view.sanitize import clean

METER_CELLS: Final = 30
VERDICTS: Final = {
    Verdict.GOOD: "your microphone works",
    Verdict.QUIET: "your microphone is very quiet: speak, come closer, or turn it up",
    Verdict.CLIPPING: "your microphone is too loud and clips: turn it down",
    Verdict.SILENT: "your microphone is silent: is it switched off, or the wrong one? (`p2pcall devices` lists all)",
}


async def run_sound_test(env: Env, audio_in: str, audio_out: str, *, json: bool) -> ExitCode:
    """P2PCallError (exit 6) if a device cannot be used."""
    if "-" in (audio_in, audio_out):
        raise usage("--test tries devices, not pipes")
    if audio_out != "none" and not await offload(lambda: is_speaker(audio_out)):
        raise usage("--test keeps and sends nothing: --audio-out must be a sound card or none")
    loop = asyncio.get_running_loop()
    source = await offload(lambda: open_audio_source(audio_in, loop))
    sink = await offload(lambda: open_audio_sink(audio_out, loop))
    draws = not json and env.stderr.isatty()

    def level(dbfs: float) -> None:
        if draws:
            env.stderr.write(f"\r{meter(dbfs)}")
            env.stderr.flush()

    test = SoundTest(source, sink, level)
    if not json:
        say(env, f"recording {RECORD_S:.0f} seconds from the microphone ({clean(audio_in)}): say something")
    try:
        await test.record()
    finally:
        if draws:
            env.stderr.write("\n")
    if not json:
        say(env, f"playing it back on the speaker ({clean(audio_out)}); it is not kept")
    await test.play()
    found = test.findings()
    if json:
        told = {
            "v": 1,
            "microphone": audio_in,
            "speaker": audio_out,
            "verdict": found.verdict,
            "level_dbfs": found.level_dbfs,
            "peak_dbfs": found.peak_dbfs,
            "microphone_ms": found.microphone_ms,
            "speaker_ms": found.speaker_ms,
        }
        env.stdout.write(jsonlib.dumps(told, separators=(",", ":")) + "\n")
    else:
        env.stdout.write("\n".join(in_sentences(found)) + "\n")
    return ExitCode.OK


def meter(dbfs: float) -> str:
    """A bar of always the same width, in ASCII."""
    share = min(1.0, max(0.0, 1 - dbfs / METER_FROM_DBFS))
    return f"[{'#' * round(share * METER_CELLS):{METER_CELLS}}] {dbfs:4.0f} dB"


def in_sentences(found: SoundFindings) -> list[str]:
    """What was found, in words."""
    both = found.microphone_ms + found.speaker_ms
    return [
        f"{VERDICTS[found.verdict]} (level {found.level_dbfs:.0f} dB, peak {found.peak_dbfs:.0f} dB)",
        f"the devices have a delay of {both:.0f} ms: the microphone {found.microphone_ms:.0f}, "
        f"the speaker {found.speaker_ms:.0f}",
    ]
