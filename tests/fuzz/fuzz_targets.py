"""What is fuzzed: each target takes any bytes, plays them through, and raises only if something is wrong.

The same functions are run by the fuzzer and by the tests, which play the kept corpus through them. Targets: an end
that is called (`responder`), one that dials (`dialler`), two lines of peers that may be hostile (`line`), their
control messages alone (`control`), and what media makes of a peer's payloads (`media`).
"""

from collections.abc import Callable

from fuzz_media import media
from fuzz_stage import Source
from fuzz_verbs import Game

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import HandshakeDone, HandshakeFailed

MAX_INPUT_BYTES = 2048


def responder(data: bytes) -> None:
    """Two dial the one in the middle; in the end somebody new gets through."""
    source = Source(data)
    how = source.number()
    stage = Game(source, contacts=bool(how & 1))
    stage.dial(0, 1, known=bool(how & 3))
    stage.dial(2, 1, known=bool(how & 4))
    stage.drain_all()
    stage.play(
        [
            stage.exchange,
            stage.as_it_is,
            stage.as_it_is,
            stage.damaged,
            stage.signed_anew,
            stage.raw,
            stage.pass_time,
            stage.drain_all,
        ]
    )
    _expect_next_caller(stage)


def _expect_next_caller(stage: Game) -> None:
    stage.now += (
        c.KNOCK_AHEAD_S + 100.0
    )  # the limits have their whole burst again, and no knock is from later
    for end in stage.ends:
        end.endpoint.handle_timer(stage.now)
    stage.drain_all()
    caller, called = stage.ends[:2]
    peer = caller.endpoint.dial([called.address], stage.now, called.static.public)
    for _ in range(8):
        for data, destination in caller.endpoint.datagrams_to_send(stage.now):
            if destination == called.address:
                called.endpoint.receive_datagram(data, caller.address, stage.now)
        for data, destination in called.endpoint.datagrams_to_send(stage.now):
            if destination == caller.address:
                caller.endpoint.receive_datagram(data, called.address, stage.now)
    assert peer.established, "an honest caller was kept out"


def dialler(data: bytes) -> None:
    """One dials two others, one of them with the key expected; it hears of each dial's end exactly once."""
    source = Source(data)
    how = source.number()
    stage = Game(source)
    stage.dial(0, 1, known=bool(how & 1))
    stage.dial(0, 2, known=bool(how & 2))
    stage.drain_all()
    stage.play(
        [
            stage.exchange,
            stage.as_it_is,
            stage.damaged,
            stage.damaged,
            stage.raw,
            stage.pass_time,
            stage.drain_all,
            stage.own_wish,
        ]
    )
    endpoint, seen = stage.ends[0].endpoint, stage.ends[0].peers
    stage.now += 200.0
    for _ in range(3):
        endpoint.handle_timer(stage.now)
        while (event := endpoint.next_event()) is not None:
            assert isinstance(event, HandshakeDone | HandshakeFailed) or event.peer in seen
        stage.now += 200.0
    assert all(peer.state is CallState.ENDED for peer in seen), "a dial that never ends"


def line(data: bytes) -> None:
    """A call and another line at the end in the middle, and both peers may be hostile."""
    source = Source(data)
    stage = Game(source)
    stage.line(2, 1)
    stage.call(0, 1)
    stage.play(
        [
            stage.exchange,
            stage.as_it_is,
            stage.damaged,
            stage.raw,
            stage.hostile_record,
            stage.hostile_frame,
            stage.hostile_message,
            stage.hostile_rekeying,
            stage.shown,
            stage.live_on,
            stage.pass_time,
            stage.drain_all,
            stage.own_wish,
        ]
    )


def control(data: bytes) -> None:
    """Control messages of a hostile peer at every state of the call; the honest line beside it is untouched."""
    source = Source(data)
    stage = Game(source)
    honest, answer = stage.call(2, 1)
    stage.line(0, 1)
    stage.ends.pop()  # nobody but the two of the new line is asked anything below
    stage.ends[1].peers.remove(answer)
    heard = answer.rx_bytes
    stage.play(
        [
            stage.exchange,
            stage.hostile_message,
            stage.shown,
            stage.hostile_frame,
            stage.hostile_rekeying,
            stage.own_wish,
            stage.drain_all,
        ]
    )
    assert answer.rx_bytes == heard
    assert honest.state is CallState.ACTIVE is answer.state


TARGETS: dict[str, Callable[[bytes], None]] = {
    "responder": responder,
    "dialler": dialler,
    "line": line,
    "control": control,
    "media": media,
}
