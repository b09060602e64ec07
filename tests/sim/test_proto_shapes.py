"""What can be told from outside: sizes and times of datagrams, and that they say nothing of what is said."""

import itertools
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from netem import ALICE, BOB, Network, Pair, call, line
from voice_path import TOCS

from p2pcall.media import constants as media
from p2pcall.media.packets import pack_fragment as pack
from p2pcall.media.packets import split_frame, video_payload_bytes
from p2pcall.media.redundancy import Redundancy
from p2pcall.media.voice_control import VoiceControl
from p2pcall.media.voice_levels import VoiceLevel, ladder
from p2pcall.proto import constants as c
from p2pcall.proto.events import IncomingCall, Message
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.proto.wire import Channel, DatagramType
from p2pcall.types import Profile

Shape = list[tuple[float, int, object]]
GOOD = VoiceControl().level
RECORD = c.MIN_DATA_BYTES + c.RECORD_BYTES


def shape(network: Network, start: int, since: float) -> Shape:
    """Time, size and source of each datagram from `start` on."""
    return [(round(sent.at - since, 6), len(sent.data), sent.source) for sent in network.log[start:]]


def speak(
    pair: Pair,
    seconds: float,
    frame: Callable[[], bytes],
    *,
    level: Callable[[int], VoiceLevel] = lambda n: GOOD,
    each: Callable[[int], None] = lambda n: None,
) -> Shape:
    """Both sides' sound as media packs it, and what was on the wire meanwhile; a level for each packet."""
    senders = [(peer, Redundancy(GOOD)) for peer in (pair.ours, pair.theirs)]
    start, since = len(pair.world.network.log), pair.world.now
    number = tick = 0
    while tick < seconds / media.TICK_S:
        now = level(number)
        for peer, redundancy in senders:
            redundancy.level = now
            sound = (bytes([TOCS[now.rung.ticks]]) + frame()).ljust(now.rung.frame_bytes, b"\0")
            payload = redundancy.packet(tick, sound[: now.rung.frame_bytes], tick * media.TICK_MS)
            peer.send(Channel.AUDIO, payload, pair.world.now, padded_to=redundancy.payload_bytes)
        each(number)
        pair.world.run(now.rung.ticks * media.TICK_S)
        number, tick = number + 1, tick + now.rung.ticks
    return shape(pair.world.network, start, since)


def speech() -> Callable[[], bytes]:
    random = Random(4)
    return lambda: random.randbytes(GOOD.rung.frame_bytes)


def silence() -> bytes:
    return b""


def test_speech_and_silence_have_the_same_sizes_at_the_same_times() -> None:
    loud = speak(call(), 10, speech())
    quiet = speak(call(), 10, silence)
    assert loud == quiet
    assert Counter(size for _, size, _ in loud) == {RECORD: 1000}
    times = [at for at, _, source in loud if source == ALICE]
    assert {round(later - earlier, 3) for earlier, later in itertools.pairwise(times)} == {0.02}


def test_chat_mute_reports_and_nacks_ride_along_unseen() -> None:
    plain = speak(call(), 10, silence)
    pair = call()
    text = bytes(c.CONTROL_BODY_BYTES)

    def busy(number: int) -> None:
        if number % 7 == 0:
            pair.ours.send_control(64, text, pair.world.now)
        if number % 100 == 50:
            pair.theirs.send_control(ControlType.MEDIA, bytes([number % 2]), pair.world.now)
        pair.ours.send(Channel.FEEDBACK, bytes(6 + number % 60), pair.world.now)
        if number == 30:
            pair.theirs.nudge(pair.world.now)

    chatty = speak(pair, 10, speech(), each=busy)
    assert chatty == plain
    pair.world.run(1)
    assert len(pair.bob.of(Message)) == 72
    assert len(pair.alice.of(Message)) == 5


LEVELS = [
    pytest.param(VoiceLevel(rung, distances), id=f"{profile} {number} {len(distances)}")
    for profile in Profile
    for number, rung in enumerate(ladder(profile))
    for distances in ((), (rung.ticks, 2 * rung.ticks, 4 * rung.ticks))
]


@pytest.mark.parametrize("level", LEVELS)
def test_speech_and_chat_show_at_no_level(level: VoiceLevel) -> None:
    quiet = speak(call(), 2, silence, level=lambda n: level)
    pair = call()
    text = bytes(c.CONTROL_BODY_BYTES)

    def busy(number: int) -> None:
        if number % 40 == 0:
            pair.ours.send_control(64, text, pair.world.now)
        if number % 8 == 0:
            pair.theirs.send(Channel.FEEDBACK, bytes(24), pair.world.now)

    loud = speak(pair, 2, speech(), level=lambda n: level, each=busy)
    assert loud == quiet
    sizes = [size for _, size, source in loud if source == ALICE]
    sound = c.MIN_DATA_BYTES + c.FRAME_HEADER_BYTES + level.rung.sound_bytes(len(level.distances))
    wanted = [sound + (0 if n % level.rung.room_every else level.rung.room_bytes) for n in range(len(sizes))]
    assert sizes == wanted, "by the number of the packet alone"
    pair.world.run(1)
    assert pair.bob.of(Message), "what waited has ridden along"


def test_level_alone_changes_the_size_of_voice() -> None:
    levels = [GOOD, GOOD._replace(distances=(2, 4)), GOOD._replace(distances=(2, 4, 8))]
    seen = speak(call(), 3, speech(), level=lambda n: levels[n // 50])
    sizes = [size for _, size, source in seen if source == ALICE]
    extra = media.AUDIO_COPY_HEADER_BYTES + GOOD.rung.frame_bytes
    assert sizes == [RECORD + extra * (n // 50) for n in range(150)], "from the first packet on"


def test_pictures_come_in_few_sizes_whatever_they_show() -> None:
    pair = call()
    random = Random(1)
    start = len(pair.world.network.log)
    for frame_id in range(300):
        data = random.randbytes(random.randrange(1, 6000))
        for fragment in split_frame(frame_id, frame_id * 66, False, data):
            payload = pack(fragment)
            pair.ours.send(Channel.VIDEO, payload, pair.world.now, padded_to=video_payload_bytes(payload))
        pair.world.run(0.066)
    sizes = {len(sent.data) for sent in pair.world.network.log[start:]}
    classes = {c.MIN_DATA_BYTES + plaintext for plaintext in (384, 768, c.MAX_PLAINTEXT_BYTES)}
    assert sizes == classes | {RECORD}
    assert max(classes) == c.MAX_DATAGRAM_BYTES


def answered(answer: Callable[[Pair], None]) -> Shape:
    """From the invitation on, while both sides linger."""
    pair = line()
    pair.world.run(0.5)
    start, since = len(pair.world.network.log), pair.world.now
    pair.bob.on_event = lambda event, now: answer(pair) if isinstance(event, IncomingCall) else None
    pair.ours.invite("alice", True, True, pair.world.now)
    pair.world.run(c.LINGER_S)
    return shape(pair.world.network, start, since)


@pytest.mark.parametrize("reason", [Reason.DECLINED, Reason.BUSY, Reason.FAILED])
def test_ringing_and_refusals_look_alike(reason: Reason) -> None:
    ringing = answered(lambda pair: pair.theirs.ring("bob", pair.world.now))
    refused = answered(lambda pair: pair.theirs.decline(reason, pair.world.now))
    assert ringing == refused
    assert {size for _, size, _ in ringing} == {RECORD}
    assert {source for _, _, source in ringing} == {ALICE, BOB}


def test_process_lingers_as_long_as_it_pretends_to_ring() -> None:
    pair = line()
    pair.ours.invite("alice", True, True, pair.world.now)
    assert pair.world.run(1, lambda: bool(pair.bob.of(IncomingCall)))
    pair.theirs.decline(Reason.BUSY, pair.world.now)
    assert not pair.world.run(c.LINGER_S - 0.1, lambda: pair.alice.endpoint.idle or pair.bob.endpoint.idle)
    assert pair.world.run(0.2, lambda: pair.alice.endpoint.idle and pair.bob.endpoint.idle)


def test_names_do_not_show_in_sizes() -> None:
    def called(name: str) -> Shape:
        pair = line()
        start = len(pair.world.network.log)
        pair.ours.invite(name, True, True, pair.world.now)
        pair.world.run(0.1)
        pair.theirs.ring(name, pair.world.now)
        pair.world.run(0.1)
        pair.theirs.accept(name, True, True, pair.world.now)
        pair.world.run(0.5)
        return shape(pair.world.network, start, 0.0)

    assert called("") == called("x" * c.NAME_BYTES)


def test_no_record_of_a_whole_call_is_of_another_size() -> None:
    pair = call()
    speak(pair, 2, speech())
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    pair.world.run(3)
    log = pair.world.network.log
    assert {len(sent.data) for sent in log if sent.data[0] == DatagramType.DATA} == {RECORD}


def test_keys_are_renewed_on_the_poorest_path_too() -> None:
    pair = call()
    before = pair.ours.line.keys.epochs.current.index
    poorest = VoiceLevel(ladder(Profile.NORMAL)[0], ())
    seen = speak(pair, c.REKEY_AFTER_S + 40, silence, level=lambda n: poorest)
    assert pair.ours.line.keys.epochs.current.index != before
    assert len({size for _, size, _ in seen}) == 2
