"""The control channel: reliable, ordered, bounded, and unmoved by nonsense."""

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.line.control import Control, ControlFull
from p2pcall.proto.wire import DropReason

RTO = 0.25


def due(control: Control, now: float, rto: float = RTO) -> list[bytes]:
    return list(control.frames_due(now, rto))


def state(control: Control) -> tuple[object, ...]:
    return (
        control._expected,
        dict(control._early),
        control._ack_due,
        [message.seq for message in control._unacked],
    )


def test_message_leaves_at_once_and_is_acknowledged() -> None:
    left, right = Control(), Control()
    assert left.settled
    left.send(64, b"body", 1.0)
    assert not left.settled
    (frame,) = due(left, 1.0)
    assert frame.hex() == "00" + "0000000000000000" + "40" + b"body".hex()
    assert right.receive(frame) == [(64, b"body")]
    assert not right.settled
    (ack,) = due(right, 1.0)
    assert ack.hex() == "01" + "0000000000000001"
    assert right.settled
    assert left.receive(ack) == []
    assert left.settled
    assert left.next_due() is None


def test_lost_message_is_repeated_with_doubling_waits() -> None:
    control = Control()
    control.send(64, b"", 0.0)
    times = []
    now = 0.0
    while now < 10:
        assert len(due(control, now)) == 1
        times.append(now)
        assert due(control, now) == []
        waited = control.next_due()
        assert waited is not None
        now = waited
    assert times == pytest.approx([0, 0.25, 0.75, 1.75, 3.75, 5.75, 7.75, 9.75])


def test_messages_are_handed_up_in_order_and_once() -> None:
    left, right = Control(), Control()
    for number in range(4):
        left.send(100 + number, b"", 0.0)
    frames = due(left, 0.0)
    assert right.receive(frames[2]) == []
    assert right.receive(frames[1]) == []
    assert right.receive(frames[2]) == []
    assert right.receive(frames[0]) == [(100, b""), (101, b""), (102, b"")]
    assert right.receive(frames[0]) == []
    assert right.receive(frames[3]) == [(103, b"")]


def test_copy_of_an_old_message_is_acknowledged_again() -> None:
    left, right = Control(), Control()
    left.send(64, b"", 0.0)
    (frame,) = due(left, 0.0)
    right.receive(frame)
    due(right, 0.0)
    assert right.receive(frame) == []
    assert len(due(right, 0.0)) == 1


def test_old_acknowledgement_changes_nothing() -> None:
    left, right = Control(), Control()
    for _ in range(2):
        left.send(64, b"", 0.0)
    first, second = due(left, 0.0)
    right.receive(first)
    (old,) = due(right, 0.0)
    right.receive(second)
    (new,) = due(right, 0.0)
    left.receive(new)
    assert left.receive(old) == []
    assert left.settled


def test_full_window_raises_but_call_messages_still_fit() -> None:
    control = Control()
    for _ in range(c.CONTROL_WINDOW):
        control.send(64, b"", 0.0)
    with pytest.raises(ControlFull):
        control.send(64, b"", 0.0)
    for _ in range(c.CONTROL_RESERVE):
        control.send(5, b"", 0.0, reserve=True)
    with pytest.raises(ControlFull):
        control.send(5, b"", 0.0, reserve=True)


def test_receiver_keeps_no_more_than_the_window() -> None:
    left, right = Control(), Control()
    for _ in range(c.CONTROL_WINDOW + c.CONTROL_RESERVE):
        left.send(64, b"", 0.0, reserve=True)
    frames = due(left, 0.0)
    for frame in frames[1 : c.CONTROL_WINDOW]:
        assert right.receive(frame) == []
    before = state(right)
    for frame in frames[c.CONTROL_WINDOW :]:
        assert right.receive(frame) is DropReason.CONTROL
    assert state(right) == before
    assert len(right._early) == c.CONTROL_WINDOW - 1
    delivered = right.receive(frames[0])
    assert isinstance(delivered, list)
    assert len(delivered) == c.CONTROL_WINDOW


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\1" + bytes(7),
        b"\0" + bytes(8),
        b"\2" + bytes(8),
        b"\2" + bytes(8) + b"\x40",
        b"\0" + bytes(8) + b"\0",
        b"\0" + bytes(8) + b"\x40" + bytes(c.CONTROL_BODY_BYTES + 1),
        b"\0" + b"\xff" * 8 + b"\x40",
        b"\1" + b"\xff" * 8,
        b"\1" + bytes(7) + b"\2",
        b"\1" + bytes(9),
    ],
)
def test_malformed_frame_is_dropped_without_a_trace(payload: bytes) -> None:
    control = Control()
    control.send(64, b"", 0.0)
    before = state(control)
    assert control.receive(payload) is DropReason.CONTROL
    assert state(control) == before


def test_own_misuse_raises() -> None:
    control = Control()
    for kind in (0, 256):
        with pytest.raises(ValueError, match="type"):
            control.send(kind, b"", 0.0)
    with pytest.raises(ValueError, match="96"):
        control.send(64, bytes(97), 0.0)
    control.send(64, bytes(96), 0.0)


def test_what_does_not_fit_the_room_stays_due() -> None:
    control = Control()
    control.send(64, bytes(96), 0.0)
    control.send(65, b"", 0.0)
    assert control.unacked == 2
    assert list(control.frames_due(0.0, RTO, c.SLACK_BYTES - 4)) == []
    (first,) = control.frames_due(0.0, RTO, c.SLACK_BYTES)
    assert len(first) + c.FRAME_HEADER_BYTES == 109
    assert control.next_due() == 0.0
    assert len(list(control.frames_due(0.0, RTO, c.SLACK_BYTES))) == 1
    assert control.next_due() == RTO


def test_acknowledgement_waits_for_room_too() -> None:
    left, right = Control(), Control()
    left.send(64, b"", 0.0)
    right.receive(*due(left, 0.0))
    assert list(right.frames_due(0.0, RTO, 11)) == []
    assert right.owes
    assert len(list(right.frames_due(0.0, RTO, 12))) == 1
    assert not right.owes


def test_longest_message_with_both_headers_fits_the_slack_of_a_record_of_voice() -> None:
    longest = c.FRAME_HEADER_BYTES + c.CONTROL_HEADER_BYTES + c.CONTROL_BODY_BYTES
    assert longest <= c.SLACK_BYTES < longest + 4


def test_hurry_makes_everything_due_and_abandon_forgets_it() -> None:
    control = Control()
    control.send(64, b"", 0.0)
    control.send(65, b"", 0.0)
    due(control, 0.0)
    control.hurry(0.01)
    assert len(due(control, 0.01)) == 2
    control.abandon()
    assert control.settled
