"""Not a test: a process that plays what its microphone hears, through the program's own sound drivers.

    python sound_loop.py SECONDS

Looks the cards up, says `looked`, waits for a line on standard input, starts them, says `started` and runs; after two
seconds of sound, when the speaker has found out how deep its buffer must be here, it says `settled`.
The last line is a JSON object: frames from the microphone and to the speaker, underruns, overflows, the
delays that the drivers tell (medians, ms), errors. Frames that the speaker did not ask for in time (more than
fifteen) are left out, as the jitter buffer of a call would do it more gently.
"""

import asyncio
import json
import statistics
import sys
import time
from collections import deque

from p2pcall.device.factory import card_polls, open_audio_sink, open_audio_source
from p2pcall.errors import P2PCallError

SILENCE = bytes(1_920)
MAX_WAITING = 15
SETTLING = 100
"""Frames."""


async def run(seconds: float) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    polls = card_polls(loop)
    source = open_audio_source("default", loop, polls=polls)
    sink = open_audio_sink("default", loop, polls=polls)
    print("looked", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
    ahead = bytearray()
    ages, delays, waits = [], [], []
    frames = pulls = 0
    failed: asyncio.Future[None] = loop.create_future()
    errors: list[str] = []

    def on_frame(pcm: bytes, captured: float) -> None:
        nonlocal frames
        frames += 1
        ages.append(loop.time() - captured)
        waiting.append(pcm)

    def pull(samples: int) -> bytes:
        nonlocal pulls
        while len(ahead) < 2 * samples:
            pulls += 1
            if pulls == SETTLING:
                print("settled", flush=True)
            waits.append(0.02 * len(waiting))
            ahead.extend(waiting.popleft() if waiting else SILENCE)
        delays.append(sink.latency_s)
        pcm = bytes(ahead[: 2 * samples])
        del ahead[: 2 * samples]
        return pcm

    def on_error(error: P2PCallError) -> None:
        errors.append(error.slug)
        if not failed.done():
            failed.set_result(None)

    source.on_error = sink.on_error = on_error
    sink.start(pull)
    source.start(on_frame)
    print("started", flush=True)
    began, used = time.monotonic(), time.process_time()
    await asyncio.wait([failed], timeout=seconds)
    elapsed = time.monotonic() - began
    cpu = (time.process_time() - used) / elapsed
    source.stop()
    sink.stop()
    return {
        "elapsed": elapsed,
        "frames": frames,
        "pulls": pulls,
        "underruns": polls.counts.underruns,
        "overflows": polls.counts.stale_samples,
        "age_ms": 1000 * statistics.median(ages or [0]),
        "delay_ms": 1000 * statistics.median(delays or [0]),
        "waiting_ms": 1000 * statistics.median(waits or [0]),
        "cpu": cpu,
        "errors": errors,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(float(sys.argv[1])))), flush=True)
