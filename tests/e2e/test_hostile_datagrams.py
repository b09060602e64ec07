"""Hostile datagrams at both ends of a call: dropped, counted, answered by nobody; the call goes on unharmed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import attacker
import pytest
import sound
from harness import P2P
from netns import INTERFACE, NetnsPair
from pairs import Start, best_call, in_call_between, media
from tries import each_best

pytestmark = [pytest.mark.netns, pytest.mark.apart]

EACH = 500
SPEECH_S = 6.0


def wait_for_dropped(process: P2P, count: int) -> None:
    """Wait until the statistics say that so many were dropped."""
    process.wait_until(
        lambda: process.all_events("stats")[-1]["dropped"] >= count, f"{count} datagrams counted as dropped"
    )


def test_the_call_goes_on_and_they_are_counted(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    says = sound.speech_wav(tmp_path / "speech.wav", SPEECH_S)
    best_call(
        p2p,
        tmp_path,
        lambda start, place: attacked_call(netns_pair, start, place, says),
        judge,
        together=lambda tries: {
            "pesq": min(each_best(one["pieces"] for one in tries)),
            "loss": min(one["loss"] for one in tries),
        },
    )


def attacked_call(net: NetnsPair, start: Start, place: Path, says: Path) -> dict[str, Any]:
    """One call under attack; how it was heard."""
    heard = place / "out.wav"
    call = in_call_between(net, start, listen=media("tone", heard), dial=media(says))
    sides = {net.ipv4["a"]: call.alice, net.ipv4["b"]: call.bob}
    enemy = start(
        *(INTERFACE, str(EACH)),
        program=[sys.executable, attacker.__file__],
        net=net,
        side="a",
        stdin=subprocess.PIPE,
        name="enemy",
    )
    enemy.wait_stdout_bytes(len("ready\n"))
    before = {address: process.wait_event("stats")["dropped"] for address, process in sides.items()}
    enemy.feed(b"go\n")
    assert enemy.wait_exit() == 0
    told = json.loads(enemy.stdout.splitlines()[-1])
    assert set(told["sent"]) == set(sides)
    assert told["answers"] == 0
    for address, process in sides.items():
        assert told["sent"][address] >= EACH
        wait_for_dropped(process, before[address] + told["sent"][address])
    call.alice.wait_until(
        lambda: call.alice.all_events("stats")[-1]["t"] > call.alice_connected["t"] + SPEECH_S,
        "the end of it",
    )
    call.alice.stop()
    ended = call.bob.wait_event("ended")
    assert ended["reason"] == "hung-up"
    said, recording = sound.read_wav(says), sound.read_wav(heard)
    return {
        "pesq": round(sound.pesq_wideband(said, recording), 2),
        "pieces": sound.pesq_of_pieces(said, recording),
        "loss": ended["loss"],
        "dropped": ended["dropped"],
    }


def judge(figures: dict[str, Any]) -> None:
    assert figures["loss"] == 0.0
    assert figures["pesq"] > 3.0
