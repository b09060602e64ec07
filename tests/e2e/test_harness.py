"""The helpers of the end-to-end tests do what they say: namespaces, loss, mDNS, sound cards, speech, tries."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import picture
import pytest
import sound
from netns import NetnsPair, Side, output_of
from pulse import PulseServer
from tries import PAUSE_S, STALL_S, TRIES, Stalls, best, each_best
from xwindow import XTerm

ECHO = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM)
server.bind(socket.getaddrinfo(sys.argv[1], 5000, family, socket.SOCK_DGRAM)[0][4])
print("ready", flush=True)
while True:
    data, address = server.recvfrom(2000)
    server.sendto(data, address)
"""

ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(float(sys.argv[3]))
address = socket.getaddrinfo(sys.argv[1], 5000, family, socket.SOCK_DGRAM)[0][4]
count = 0
for n in range(int(sys.argv[2])):
    try:
        client.sendto(b"%d" % n, address)
        count += client.recvfrom(2000)[0] == b"%d" % n
    except OSError:
        pass
print(count)
"""

ANNOUNCE = """
import socket, sys, zeroconf
info = zeroconf.ServiceInfo("_harness._udp.local.", "bob._harness._udp.local.", 5000, server="bob.local.",
                            addresses=[socket.inet_aton(sys.argv[1])])
zc = zeroconf.Zeroconf()
zc.register_service(info)
print("ready", flush=True)
sys.stdin.read()
zc.close()
"""

FIND = """
import threading, zeroconf
found = threading.Event()
def changed(zeroconf, service_type, name, state_change):
    print(name, flush=True)
    found.set()
zc = zeroconf.Zeroconf()
zeroconf.ServiceBrowser(zc, "_harness._udp.local.", handlers=[changed])
found.wait(20)
zc.close()
"""


def echo(net: NetnsPair, side: Side, address: str) -> None:
    server = net.run(side, [sys.executable, "-c", ECHO, address], stdout=subprocess.PIPE)
    assert output_of(server).readline() == b"ready\n"


def ask(net: NetnsPair, side: Side, address: str, count: int = 1, timeout: float = 5) -> int:
    """How many of `count` datagrams came back."""
    return int(net.output(side, [sys.executable, "-c", ASK, address, str(count), str(timeout)]))


@pytest.mark.netns
def test_the_sides_reach_each_other(netns_pair: NetnsPair) -> None:
    for address in (netns_pair.ipv4["b"], netns_pair.ipv6["b"]):
        echo(netns_pair, "b", address)
        assert ask(netns_pair, "a", address) == 1
    echo(netns_pair, "a", "127.0.0.1")
    assert ask(netns_pair, "a", "127.0.0.1") == 1


@pytest.mark.netns
def test_loss_drops_and_mends(netns_pair: NetnsPair) -> None:
    address = netns_pair.ipv4["b"]
    echo(netns_pair, "b", address)
    netns_pair.set_loss(100)
    assert ask(netns_pair, "a", address, 5, 0.05) == 0
    assert netns_pair.dropped("b") == 5
    netns_pair.set_loss(0)
    assert ask(netns_pair, "a", address, 5) == 5


@pytest.mark.netns
def test_a_pulled_plug_goes_back_in(netns_pair: NetnsPair) -> None:
    for address in (netns_pair.ipv4["b"], netns_pair.ipv6["b"]):
        echo(netns_pair, "b", address)
    netns_pair.link("a", up=False)
    assert ask(netns_pair, "a", netns_pair.ipv4["b"], 2, 0.05) == 0
    netns_pair.link("a", up=True)
    assert ask(netns_pair, "a", netns_pair.ipv4["b"]) == 1
    assert ask(netns_pair, "a", netns_pair.ipv6["b"]) == 1


@pytest.mark.netns
def test_mdns_goes_through_the_cable(netns_pair: NetnsPair, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", ANNOUNCE, netns_pair.ipv4["b"]]
    bob = netns_pair.run("b", argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert output_of(bob).readline() == b"ready\n"
    assert netns_pair.output("a", [sys.executable, "-c", FIND]).split() == ["bob._harness._udp.local."]
    browse = ["avahi-browse", "-prt", "_harness._udp"]

    def judge(seen: str) -> None:
        assert "bob" in seen
        assert netns_pair.ipv4["b"] in seen

    with netns_pair.avahi("a", tmp_path / "avahi") as environ:
        best(lambda _: netns_pair.output("a", browse, env=environ), judge)


@pytest.mark.netns
def test_nothing_is_left_of_a_pair(netns_pair: NetnsPair) -> None:
    with NetnsPair() as other:
        echo(other, "b", other.ipv4["b"])
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        assert all(name in listed for name in (*netns_pair.names.values(), *other.names.values()))
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert not any(name in listed for name in other.names.values())
    assert all(name in listed for name in netns_pair.names.values())


def clean(likeness: float) -> None:
    """Judges how a card plays and records."""
    assert likeness > 0.95


@pytest.mark.device
@pytest.mark.apart
def test_a_microphone_hears_what_is_played_into_it(pulse_server: PulseServer, tmp_path: Path) -> None:
    wav, record = sound.speech_wav(tmp_path / "says.wav", 2), pulse_server.record

    def heard(_: int) -> float:
        with record("mic_a", tmp_path / "heard.wav") as heard, record("mic_b") as other:
            player = pulse_server.play("mic_a", wav)
            heard.wait_sound()
            assert player.wait() == 0
            heard.wait_more(0.2)
        assert sound.rms(other.samples) == 0
        says, came = sound.read_wav(wav), sound.read_wav(tmp_path / "heard.wav")
        return min(match.likeness for match in sound.follow(says, came))

    best(heard, clean)


@pytest.mark.device
@pytest.mark.apart
def test_portaudio_opens_the_card_of_its_side(pulse_server: PulseServer, tmp_path: Path) -> None:
    play = (
        "import sounddevice, sys; data = sys.stdin.buffer.read();"
        "stream = sounddevice.RawOutputStream(48000, channels=1, dtype='int16', latency=0.5);"
        "stream.start(); stream.write(data); stream.stop(); stream.close()"
    )
    says = sound.speech(2)
    environ = os.environ | pulse_server.env("b")
    # PortAudio's `stop` throws away what the card still holds, so silence comes last.
    data = sound.to_pcm(np.concatenate([says, np.zeros(sound.RATE)]))

    def heard(_: int) -> float:
        with pulse_server.record("spk_b") as heard, pulse_server.record("spk_a") as other:
            subprocess.run([sys.executable, "-c", play], input=data, env=environ, check=True)
            heard.wait_more(0.2)
        assert sound.rms(other.samples) == 0
        return min(match.likeness for match in sound.follow(says, heard.samples))

    best(heard, clean)


def test_the_speech_sample_is_the_same_everywhere(tmp_path: Path) -> None:
    says = sound.speech(3)
    assert len(says) == 3 * sound.RATE
    assert np.array_equal(says, sound.speech(3))
    assert 0.05 < sound.rms(says) < 0.3
    assert np.max(np.abs(says)) < 0.9
    again = sound.read_wav(sound.write_wav(tmp_path / "x.wav", says))
    assert np.max(np.abs(again - says)) < 1e-4
    assert sound.find(says, sound.speech(3, seed=2)).likeness < 0.5


def test_a_sound_is_found_where_it_is() -> None:
    says = sound.speech(2)
    heard = np.concatenate([np.zeros(12_345), 0.2 * says, np.zeros(5_000)])
    match = sound.find(says, heard)
    assert match.likeness > 0.999
    assert round(match.lag_s * sound.RATE) == 12_345
    assert np.allclose(sound.aligned(says, heard), 0.2 * says)


def test_a_sound_is_followed_over_a_skip() -> None:
    says = sound.speech(4)
    middle, skip = 2 * sound.RATE, 2_000
    heard = np.concatenate([np.zeros(9_600), says[:middle], np.zeros(skip), says[middle:]])
    matches = sound.follow(says, heard)
    assert len(matches) >= 6
    assert all(match.likeness > 0.98 for match in matches)
    assert {round(match.lag_s * sound.RATE) for match in matches} == {9_600, 9_600 + skip}
    strange = sound.follow(says, sound.speech(4, seed=5))
    assert max(match.likeness for match in strange) < 0.7


def test_pesq_tells_good_from_bad() -> None:
    says = sound.speech(4)
    holes = says.copy()
    for start in range(0, len(holes), 9_600):
        holes[start : start + 960] = 0
    assert sound.pesq_wideband(says, np.concatenate([np.zeros(4_000), says])) > 4.5
    assert sound.pesq_wideband(says, holes) < 3
    assert max(sound.pesq_of_pieces(says, holes)) < 3
    half = len(says) // 2
    first, second = sound.pesq_of_pieces(says, np.concatenate([says[:half], holes[half:]]), piece_s=2)
    assert first > 4.5
    assert second < 3


def test_a_clip_tells_the_number_of_each_frame(tmp_path: Path) -> None:
    frames = list(picture.read(picture.clip(tmp_path / "clip.mp4", 4)))
    assert [picture.number_of(shown) for _, shown in frames] == list(range(60))
    assert frames[-1][0] == pytest.approx(59 / 15, abs=0.01)
    assert all(picture.likeness(shown, number) > 25 for number, (_, shown) in enumerate(frames))
    assert picture.likeness(frames[30][1], 10) < 20
    assert {picture.number_of(picture.frame(number, (40, 30))) for number in range(256)} == set(range(256))


@pytest.mark.terminal
def test_a_window_shows_what_the_program_draws(xterm: Callable[..., XTerm], tmp_path: Path) -> None:
    draw = "printf '\\033[2J\\033[48;2;200;30;40m\\033[2J'; exec sleep 1000"
    window = xterm(["sh", "-c", draw], size=(40, 12))
    red = np.array([200, 30, 40])
    shown = window.wait_until(lambda seen: bool((seen == red).all(axis=2).mean() > 0.9), "a red window")
    saved = [seen for _, seen in picture.read(window.save(tmp_path / "window.png"))]
    assert np.array_equal(saved[0], shown)


@pytest.mark.terminal
def test_a_window_that_closes_ends_the_wait(xterm: Callable[..., XTerm]) -> None:
    window = xterm(["true"])
    with pytest.raises(AssertionError, match="closed before it showed the moon"):
        window.wait_until(lambda seen: False, "the moon", timeout=1000)


def at_least_three(score: int) -> None:
    assert score >= 3, "too little"


def test_the_first_good_measurement_is_the_last_one() -> None:
    scores = [5, 7]
    assert best(lambda number: scores[number - 1], at_least_three) == 5
    assert best(lambda number: scores[-number], at_least_three) == 7
    scores[0] = 1
    assert best(lambda number: scores[number - 1], at_least_three) == 7


def test_what_is_never_good_fails_and_every_try_is_told() -> None:
    asked: list[int] = []

    def measure(number: int) -> int:
        asked.append(number)
        return -number

    with pytest.raises(AssertionError) as caught:
        best(measure, at_least_three)
    assert asked == list(range(1, TRIES + 1))
    assert f"in any of {TRIES} tries" in str(caught.value)
    for number in asked:
        assert f"try {number}: {-number}; the machine stood still " in str(caught.value)
    assert str(caught.value).count("too little") == TRIES


@pytest.mark.parametrize("stalls", [[0.1], []], ids=["stood still", "quiet"])
def test_only_what_the_machine_spoilt_is_judged_together(
    monkeypatch: pytest.MonkeyPatch, stalls: list[float]
) -> None:
    """Each try has another hole; on a quiet machine that is a fault of the program."""
    monkeypatch.setattr(Stalls, "__enter__", lambda self: self.found.extend(stalls) or self)
    monkeypatch.setattr(Stalls, "__exit__", lambda *_: None)

    def judge(windows: list[float]) -> None:
        assert min(windows) == 1

    def measure(number: int) -> list[float]:
        return [float(at != number % 2) for at in range(2)]

    if stalls:
        assert best(measure, judge, together=each_best) == [1, 1]
    else:
        with pytest.raises(AssertionError, match=f"any of {TRIES} tries"):
            best(measure, judge, together=each_best)


def test_a_fact_that_is_wrong_is_not_tried_again() -> None:
    asked: list[int] = []

    def measure(number: int) -> int:
        asked.append(number)
        assert number > 1, "a fact"
        return 3

    with pytest.raises(AssertionError, match="a fact"):
        best(measure, at_least_three)
    assert asked == [1]


def test_time_that_was_taken_away_is_told_apart_from_time_that_was_used() -> None:
    """A pause that is little late, one that is a second late, one in which this process computed for a second."""
    stalls = Stalls()
    at = used = 0.0
    stalls.woke(at, used)
    for late, computed in ((STALL_S / 2, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)):
        at, used = at + PAUSE_S + late, used + computed
        stalls.woke(at, used)
    assert stalls.found == [pytest.approx(1.0)]
    assert str(stalls) == "the machine stood still 1 times, 1000 ms in all, 1000 ms at most"
