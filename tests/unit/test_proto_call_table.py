"""The call table, over all states and all inputs."""

from itertools import product

import pytest

from p2pcall.proto.call import table as calling
from p2pcall.proto.call.call import Call
from p2pcall.proto.call.table import CALL_TABLE, CallError, CallInput, CallState, Tell
from p2pcall.proto.line.control import Control
from p2pcall.proto.messages import ControlType

NEXT = """
          invite   ring     accept   decline hangup r-invite r-ringing r-accept r-reveal r-decline r-hangup lost
idle      dialling -        -        ended   ended  incoming -         -        -        ended     ended    ended
dialling  -        -        -        -       ended  -        ringing   active   -        ended     ended    ended
ringing   -        -        -        -       ended  -        -         active   -        ended     ended    ended
incoming  -        incoming answered ended   ended  -        -         -        -        -         ended    ended
answered  -        -        -        -       ended  -        -         -        active   -         ended    ended
active    -        -        -        -       ended  -        -         -        -        -         ended    ended
ended     -        -        -        ended   ended  -        -         -        -        ended     ended    ended
"""
"""What the table must say, written down a second time."""


def expected() -> dict[tuple[CallState, CallInput], str]:
    header, *rows = [row.split() for row in NEXT.strip().splitlines()]
    return {
        (CallState(row[0]), CallInput(cause)): to
        for row in rows
        for cause, to in zip(header, row[1:], strict=True)
    }


EXPECTED = expected()


def test_every_state_and_input_is_decided() -> None:
    assert set(EXPECTED) == set(product(CallState, CallInput))


@pytest.mark.parametrize(("state", "cause"), list(product(CallState, CallInput)))
def test_table_says_what_was_agreed(state: CallState, cause: CallInput) -> None:
    to = EXPECTED[state, cause]
    remote = cause.startswith("r-")
    if to != "-":
        assert (calling.remote if remote else calling.own)(state, cause) == CALL_TABLE[state, cause]
        assert CALL_TABLE[state, cause].next == to
    elif remote:
        assert calling.remote(state, cause) is None
    else:
        with pytest.raises(CallError, match=f"{cause} makes no sense while {state}"):
            calling.own(state, cause)


def test_end_is_told_exactly_once() -> None:
    for (state, _), transition in CALL_TABLE.items():
        ends = state is not CallState.ENDED and transition.next is CallState.ENDED
        assert (transition.tell is Tell.ENDED) == ends


def test_only_own_inputs_send_and_an_answer_that_is_answered_by_our_nonce() -> None:
    sends = {
        CallInput.R_ACCEPT: ControlType.REVEAL,
        CallInput.INVITE: ControlType.INVITE,
        CallInput.RING: ControlType.RINGING,
        CallInput.ACCEPT: ControlType.ACCEPT,
        CallInput.DECLINE: ControlType.DECLINE,
        CallInput.HANGUP: ControlType.HANGUP,
    }
    for (state, cause), transition in CALL_TABLE.items():
        assert transition.send == (None if state is CallState.ENDED else sends.get(cause))


def test_each_side_shows_its_nonce_only_when_the_call_is_answered() -> None:
    shows = {
        (CallState.INCOMING, CallInput.ACCEPT),
        (CallState.DIALLING, CallInput.R_ACCEPT),
        (CallState.RINGING, CallInput.R_ACCEPT),
    }
    nonces = (ControlType.ACCEPT, ControlType.REVEAL)
    assert {at for at, transition in CALL_TABLE.items() if transition.send in nonces} == shows


def test_who_has_answered_is_active_only_by_the_callers_nonce() -> None:
    ways = {
        cause
        for (state, cause), to in CALL_TABLE.items()
        if state is CallState.ANSWERED and to.next is CallState.ACTIVE
    }
    assert ways == {CallInput.R_REVEAL}
    assert {state for (state, _), to in CALL_TABLE.items() if to.next is CallState.ANSWERED} == {
        CallState.INCOMING
    }


def test_every_state_can_be_lost_and_hung_up() -> None:
    for state in CallState:
        assert CALL_TABLE[state, CallInput.LOST].next is CallState.ENDED
        assert CALL_TABLE[state, CallInput.HANGUP].next is CallState.ENDED


def test_diagram_has_a_line_for_each_transition() -> None:
    lines = calling.call_diagram().splitlines()
    assert len(lines) == len(CALL_TABLE)
    assert "idle      invite     dialling  sends INVITE" in lines
    assert "active    hangup     ended     sends HANGUP, tells Ended" in lines
    assert "ended     lost       ended" in lines


def test_glare_has_the_same_winner_on_both_sides() -> None:
    low, high = b"\1" * 32, b"\2" * 32
    assert calling.glare_winner(low, high) == "ours"
    assert calling.glare_winner(high, low) == "theirs"


def test_a_call_that_is_over_stays_over_and_says_nothing() -> None:
    control = Control()
    call = Call(control)
    call.lost()
    for goodbye in (CallInput.HANGUP, CallInput.DECLINE):
        assert call.own(goodbye, b"", 0.0).next is call.state is CallState.ENDED
    assert not control.busy
