"""The shapes of records: one size for all that is small, and nothing of its own while voice flows."""

import itertools
from collections import Counter

from p2pcall.media.voice_control import VoiceControl
from p2pcall.proto import constants as c
from p2pcall.proto.line.control import Control
from p2pcall.proto.line.records import Records
from p2pcall.proto.line.timing import Timing
from p2pcall.proto.wire import Channel, DropReason, parse_frames

SOUND = bytes(255)
MESSAGE = 64


class Side:
    """One side's records with their sources; nothing is due at first but what the test asks for."""

    def __init__(self) -> None:
        self.control, self.timing = Control(), Timing(0.0)
        self.timing.next_ping = 1000.0
        self.dropped: Counter[DropReason] = Counter()
        self.records = Records(self.control, self.timing, self.dropped)

    def voice(self, now: float, padded_to: int = 0) -> list[tuple[int, bytes]]:
        """Frames of a record of voice that leaves now."""
        plaintext = self.records.payload(Channel.AUDIO, SOUND, padded_to, now)
        assert plaintext is not None
        assert len(plaintext) == (c.FRAME_HEADER_BYTES + padded_to if padded_to else c.RECORD_BYTES)
        return frames(plaintext)


def frames(plaintext: bytes) -> list[tuple[int, bytes]]:
    parsed = parse_frames(plaintext)
    assert isinstance(parsed, list)
    return parsed


def channels(parsed: list[tuple[int, bytes]]) -> list[int]:
    return [channel for channel, _ in parsed]


def test_records_of_small_frames_have_the_size_of_voice_on_a_good_path() -> None:
    assert c.FRAME_HEADER_BYTES + VoiceControl().level.payload_bytes(0) == c.RECORD_BYTES


def test_small_frames_leave_by_themselves_where_no_voice_flows() -> None:
    side = Side()
    assert side.records.due(0.0) == []
    assert side.records.next_due() == 1000.0
    for size in (0, 96, 96, 96, 96):
        side.control.send(MESSAGE, bytes(size), 0.0)
    side.timing.nudge(0.0)
    side.records.payload(Channel.FEEDBACK, b"report", 0, 0.0)
    assert side.records.next_due() is not None
    first, second = side.records.due(0.0)
    assert len(first) == len(second) == c.RECORD_BYTES
    assert sorted(channels(frames(first))) == [*[Channel.CONTROL] * 4, Channel.TIMING, Channel.FEEDBACK]
    assert channels(frames(second)) == [Channel.CONTROL]
    assert side.records.due(0.0) == []


def test_small_frames_ride_with_voice_while_it_flows() -> None:
    side = Side()
    assert channels(side.voice(5.0)) == [Channel.AUDIO]
    side.control.send(MESSAGE, bytes(96), 5.01)
    side.control.send(MESSAGE, b"", 5.01)
    assert side.records.due(5.01) == []
    assert side.records.next_due() == 5.0 + c.VOICE_FLOW_S
    assert channels(side.voice(5.02)) == [Channel.AUDIO, Channel.CONTROL]
    assert channels(side.voice(5.04)) == [Channel.AUDIO, Channel.CONTROL]
    assert channels(side.voice(5.06)) == [Channel.AUDIO]


def test_small_frames_leave_when_voice_has_stopped() -> None:
    side = Side()
    side.voice(5.0)
    side.control.send(MESSAGE, b"", 5.01)
    assert side.records.due(5.0 + c.VOICE_FLOW_S - 0.001) == []
    assert len(side.records.due(5.0 + c.VOICE_FLOW_S)) == 1


def test_pings_pongs_and_acknowledgements_wait_for_voice_too() -> None:
    side = Side()
    side.voice(5.0)
    side.timing.receive(b"\1" + bytes(8), 5.0)
    side.control.receive(b"\0" + bytes(8) + bytes([MESSAGE]))
    side.timing.nudge(5.0)
    assert side.records.due(5.01) == []
    assert side.records.next_due() == 5.0 + c.VOICE_FLOW_S
    assert channels(side.voice(5.02)) == [Channel.AUDIO, Channel.TIMING, Channel.TIMING, Channel.CONTROL]


def test_messages_and_feedback_take_turns() -> None:
    side = Side()
    side.voice(5.0)
    for _ in range(3):
        side.control.send(MESSAGE, bytes(96), 5.0)
        side.records.payload(Channel.FEEDBACK, bytes(100), 0, 5.0)
    rode = [channels(side.voice(5.0 + n / 50))[1:] for n in range(1, 7)]
    assert sorted(map(tuple, rode)) == [(Channel.CONTROL,)] * 3 + [(Channel.FEEDBACK,)] * 3
    assert all(one != two for one, two in itertools.pairwise(rode))


def test_voice_of_a_higher_redundancy_has_the_same_room() -> None:
    side = Side()
    padded_to = VoiceControl().level._replace(distances=(2, 4, 8)).payload_bytes(0)
    side.voice(5.0, padded_to)
    for _ in range(9):
        side.control.send(MESSAGE, b"", 5.0)
    early = channels(side.voice(5.02, padded_to))
    assert early.count(Channel.CONTROL) == 9, "copies that are not there yet leave their room"


def test_voice_without_room_beside_it_carries_nothing_and_is_as_short_as_it_says() -> None:
    side = Side()
    side.control.send(MESSAGE, b"", 5.0)
    assert channels(side.voice(5.0, len(SOUND))) == [Channel.AUDIO]
    assert channels(side.voice(5.02, len(SOUND) + c.SLACK_BYTES)) == [Channel.AUDIO, Channel.CONTROL]


def test_other_payloads_leave_at_once_in_the_size_they_ask_for() -> None:
    side = Side()
    side.voice(5.0)
    for padded_to in (381, 765, c.MAX_PAYLOAD_BYTES):
        plaintext = side.records.payload(Channel.VIDEO, b"picture", padded_to, 5.0)
        assert plaintext is not None
        assert len(plaintext) == c.FRAME_HEADER_BYTES + padded_to
        assert frames(plaintext) == [(Channel.VIDEO, b"picture")]
    short = side.records.payload(Channel.VIDEO, b"", 0, 5.0)
    assert short is not None and len(short) == c.RECORD_BYTES


def test_feedback_longer_than_the_slack_has_its_own_record() -> None:
    side = Side()
    plaintext = side.records.payload(Channel.FEEDBACK, bytes(c.SLACK_BYTES - 2), 0, 5.0)
    assert plaintext is not None and len(plaintext) == c.RECORD_BYTES
    assert side.records.payload(Channel.FEEDBACK, bytes(c.SLACK_BYTES - 3), 0, 5.0) is None


def test_longest_payload_of_sound_has_no_room_beside_it() -> None:
    side = Side()
    side.control.send(MESSAGE, b"", 5.0)
    plaintext = side.records.payload(Channel.AUDIO, bytes(c.MAX_PAYLOAD_BYTES), 0, 5.0)
    assert plaintext is not None
    assert len(plaintext) == c.MAX_PLAINTEXT_BYTES
    assert channels(frames(plaintext)) == [Channel.AUDIO]


def test_of_waiting_feedback_the_oldest_is_dropped() -> None:
    side = Side()
    side.voice(5.0)
    for number in range(c.MAX_WAITING_FRAMES + 2):
        side.records.payload(Channel.FEEDBACK, bytes([number]), 0, 5.0)
    assert side.dropped == {DropReason.QUEUE: 2}
    told = [payload[0] for _, payload in side.voice(5.02)[1:]]
    assert told[0] == 2


def test_line_that_says_goodbye_sends_nothing_else() -> None:
    side = Side()
    side.voice(5.0)
    side.timing.nudge(5.0)
    side.records.payload(Channel.FEEDBACK, b"report", 0, 5.0)
    side.records.hang_up()
    assert side.records.next_due() is None
    assert side.records.due(5.01) == []
    side.control.send(5, b"\1", 5.01)
    (goodbye,) = side.records.due(5.01)
    assert channels(frames(goodbye)) == [Channel.CONTROL]


def test_no_more_records_leave_than_may() -> None:
    side = Side()
    for _ in range(9):
        side.control.send(MESSAGE, bytes(96), 0.0)
    assert side.records.due(0.0, 0) == []
    assert [len(side.records.due(0.0, 1)), len(side.records.due(0.0, 1))] == [1, 1]
    assert len(side.records.due(0.0)) == 1, "and what was left over is not lost"
