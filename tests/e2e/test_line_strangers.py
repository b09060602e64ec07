"""Strangers at the door: a flood of first messages during a call, and a port that is silent to all but contacts.

What comes and goes is counted by the kernel, on the listener's side.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cable
import flooder
import junk
import pytest
from capture import Capture
from harness import P2P
from netns import NetnsPair
from pairs import NO_MEDIA, Call, Start, best_call, identity, in_call_between, knows, media

from p2pcall.proto import constants as c
from p2pcall.proto.handshake.noise import KeyPair

pytestmark = pytest.mark.netns

PORT = 51729
STRANGER = "10.77.0.66"
INVENTED = "198.51.100"
INVENTED_NET = f"{INVENTED}.0/24"
RATE_PER_S = 5000
FLOOD_S = 20 if os.environ.get("P2PCALL_HYPOTHESIS") == "nightly" else 6
OPEN_PER_S = 100
"""So many a second of the flood are from an address that is proven, and ask for a handshake."""
PREPARED = 2000
BEFORE_OTHERS = -10
"""The call's place among processes: what else this machine has to do is not the flood's fault."""
MAX_CONCEALED = 0.01
MAX_GROWTH_BYTES = 4 << 20
"""What 30,000 datagrams leave behind; if each left itself, it would be ten times as much."""
PACKETS = 10_000
LISTEN = ("listen", "--name", "bob", "--json", "--reach", "contacts", "--answer", "contacts")
DIAL_BOB = ("dial", "bob", "--json", *NO_MEDIA)


def contact_call(net: NetnsPair, p2p: Start, bob: P2P | None = None) -> Call:
    """A call of a contact to somebody who can be reached by contacts alone."""
    if bob is None:
        bob = p2p(*LISTEN, *NO_MEDIA, net=net, side="b", name="bob")
        bob.wait_event("listening")
    alice = p2p(*DIAL_BOB, "--name", "alice", net=net, side="a", name="alice")
    return Call(alice, bob, alice.wait_event("connected"), bob.wait_event("connected"))


def timestamp() -> int:
    """Now, as in a knock."""
    return int(time.time() * c.CLOCK_HZ)


def resident_bytes(process: P2P) -> int:
    """How much memory it has now."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(process: P2P) -> float:
    """How many seconds of a processor it has used."""
    used = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def ready(start: Start, net: NetnsPair, plan: flooder.Plan) -> P2P:
    """Somebody on side a who has the datagrams in hand and waits for a line."""
    program = [sys.executable, flooder.__file__]
    enemy = start(program=program, net=net, side="a", stdin=subprocess.PIPE, name="enemy")
    enemy.feed(json.dumps(asdict(plan)).encode() + b"\n")
    enemy.wait_stdout_bytes(len("ready\n"))
    return enemy


def over(enemy: P2P) -> flooder.Told:
    """What it did, when all is sent."""
    assert enemy.wait_exit() == 0, enemy.report()
    return flooder.Told(**json.loads(enemy.stdout.splitlines()[-1]))


def concealed(process: P2P, begun: float, ended: float) -> float:
    """The mean of what it tells for the seconds in between."""
    told = [one["concealed"] for one in process.all_events("stats") if begun < one["t"] < ended]
    return float(statistics.mean(told))


@pytest.mark.apart
def test_a_flood_of_first_messages_during_a_call(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    """Half of it from invented addresses, some from one that is proven; somebody else calls meanwhile."""
    cable.add_address(netns_pair, "a", STRANGER)
    cable.route(netns_pair, "b", INVENTED_NET)
    cable.count_sent(netns_pair, "b", INVENTED_NET)
    cable.count_come(netns_pair, "b", INVENTED_NET)
    best_call(p2p, tmp_path, lambda start, place: flooded_call(netns_pair, start, place), judge_flood)


def flooded_call(net: NetnsPair, start: Start, place: Path) -> dict[str, Any]:
    """A call under the flood: what became of it and of the other caller."""
    file = flooder.write(place / "flood", junk.flood(identity(place, "bob").public, timestamp(), PREPARED))
    call = in_call_between(net, start, listen=media("tone"), dial=media("tone"))
    count = RATE_PER_S * FLOOD_S
    plan = flooder.Plan(net.ipv4["b"], PORT, str(file), count, RATE_PER_S, STRANGER, INVENTED, OPEN_PER_S)
    enemy = ready(start, net, plan)
    for side in (call.alice, call.bob):
        os.setpriority(os.PRIO_PROCESS, side.pid, BEFORE_OTHERS)
    call.bob.wait_event("stats")
    call.bob.wait_event("stats")
    before, used, begun = resident_bytes(call.bob), cpu_s(call.bob), time.time()
    enemy.feed(b"go\n")
    call.bob.wait_event("stats")
    carol = start(
        "dial", net.ipv4["b"], "--json", "--name", "carol", *NO_MEDIA, net=net, side="a", name="carol"
    )
    dialled, refused = carol.wait_event("dialling"), carol.wait_event("ended")
    assert (refused["reason"], carol.wait_exit()) == ("busy", 4)
    assert "carol" in call.bob.wait_event("warning", slug="missed-call")["text"]
    told = over(enemy)
    ended = begun + told.seconds
    grown, used = resident_bytes(call.bob) - before, cpu_s(call.bob) - used
    call.bob.wait_event("stats")
    come = cable.counted(net, "b", "INPUT", INVENTED_NET)
    sent = cable.counted(net, "b", "OUTPUT", INVENTED_NET)
    assert come.packets > 0.9 * (told.sent - told.refused) * (1 - 2 * OPEN_PER_S / RATE_PER_S)
    assert 0 < sent.bytes < come.bytes / 4, "answers to invented addresses"
    assert told.answers > 0
    assert told.opened > 0
    assert grown < MAX_GROWTH_BYTES
    assert call.alice.all_events("ended") == call.bob.all_events("ended") == []
    return {
        "rate_per_s": round(told.sent / told.seconds),
        "concealed": {name: concealed(call.side(name), begun, ended + 1) for name in ("alice", "bob")},
        "cpu": round(used / told.seconds, 2),
        "busy_s": refused["t"] - dialled["t"],
        "flood_went_on_s": ended - refused["t"],
        "grown_bytes": grown,
        "dropped": call.bob.all_events("stats")[-1]["dropped"],
        "handshakes": told.opened,
        "answered": (told.answers, sent.packets),
        "come": come.packets,
    }


def judge_flood(figures: dict[str, Any]) -> None:
    assert max(figures["concealed"].values()) < MAX_CONCEALED
    assert figures["flood_went_on_s"] > 0, "it was over when the other caller was answered"
    assert figures["rate_per_s"] > 0.9 * RATE_PER_S
    assert figures["dropped"] > figures["come"] / 4, "the rest was for a socket that had no room left"


def test_reach_contacts_is_silent_to_strangers(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    """To one who knows the key and has recorded a contact's calls, before and during a call with the contact."""
    people = {name: identity(tmp_path, name) for name in ("alice", "bob", "eve")}
    for who, whom in (("alice", "bob"), ("bob", "alice"), ("eve", "bob")):
        knows(tmp_path, who, whom)
    cable.add_address(netns_pair, "a", STRANGER)
    cable.count_sent(netns_pair, "b", STRANGER)
    cable.count_come(netns_pair, "b", STRANGER)
    cable.count_sent(netns_pair, "b", netns_pair.ipv4["a"])
    capture = Capture(p2p, netns_pair, "a")
    call = contact_call(netns_pair, p2p)
    call.alice.stop()
    assert call.bob.wait_event("ended")["reason"] == "hung-up"
    eve = p2p(*DIAL_BOB, "--bind", STRANGER, net=netns_pair, side="a", name="eve")
    assert eve.wait_exit() == 3, eve.report()
    recorded = [one.payload for one in capture.datagrams if one.source == (netns_pair.ipv4["a"], PORT)]
    assert {data[0] for data in recorded} >= {1, 3, 5, 6}
    call = contact_call(netns_pair, p2p, bob=call.bob)
    call.alice.wait_event("stats")
    fresh = [one.payload for one in capture.datagrams if one.source == (netns_pair.ipv4["a"], PORT)]
    enemy_key = KeyPair(people["eve"].private, people["eve"].public)
    datagrams = junk.everything(
        enemy_key, people["bob"].public, timestamp(), [*recorded, *fresh[len(recorded) :]], PACKETS
    )
    file = flooder.write(tmp_path / "everything", datagrams)
    plan = flooder.Plan(netns_pair.ipv4["b"], PORT, str(file), PACKETS, RATE_PER_S, STRANGER)
    enemy = ready(p2p, netns_pair, plan)
    enemy.feed(b"go\n")
    told = over(enemy)
    call.bob.wait_event("stats")
    call.bob.wait_event("stats")
    assert told.sent == PACKETS
    assert told.refused == told.answers == 0
    assert cable.counted(netns_pair, "b", "INPUT", STRANGER).packets > PACKETS
    assert cable.counted(netns_pair, "b", "OUTPUT", STRANGER) == cable.Count(0, 0)
    assert cable.counted(netns_pair, "b", "OUTPUT", netns_pair.ipv4["a"]).packets > 100
    assert len(call.bob.all_events("incoming")) == 2
    assert call.alice.all_events("ended") == []
