"""Recording needs both: asked, refused, agreed, withdrawn; what hostile peers and faults can do to it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls import beside
from recorded import agreed, hung_up, kept, read, said, states, until
from seeing import Pair, SeeingUi, with_a_call

from p2pcall import events
from p2pcall.engine import recording
from p2pcall.engine.questions import MAX_QUESTIONS, QUESTION_PAUSE_S, QUESTION_REST_S
from p2pcall.proto.messages import ControlType, RecordAct, RecordMessage, media_flags
from p2pcall.store.recordings import (
    RECORDING_DAYS,
    Track,
)


def test_a_recording_begins_after_a_yes_with_a_mark_on_both_screens(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        alice, bob = pair.alice_ui, pair.bob_ui
        alice.press("r")
        await until(bob, "remote", "asked")
        question = bob.view.hud.question
        wish = f"alice asks, and would keep it for {RECORDING_DAYS} days"
        assert question == ("record this call?", wish, "[y]es, record", "[n]o")
        assert not alice.view.hud.records and not bob.view.hud.remote_records
        assert not kept(pair.alice)
        await asyncio.sleep(QUESTION_REST_S)
        bob.press("y")
        await until(alice, "local", "on")
        await until(bob, "remote", "on")
        assert alice.view.hud.records and bob.view.hud.remote_records
        assert not bob.view.hud.question
        assert alice.of(events.Media)[-1].recording and bob.of(events.Media)[-1].recording
        await asyncio.sleep(3)
        alice.press("r")
        await until(alice, "local", "off")
        await until(bob, "remote", "off")
        assert not alice.view.hud.records and not bob.view.hud.remote_records
        await hung_up(pair)
        assert states(alice) == [
            ("local", "asked", "local"),
            ("local", "agreed", "remote"),
            ("local", "on", ""),
            ("local", "withdrawn", "local"),
            ("local", "off", ""),
        ]
        assert states(bob) == [
            ("remote", "asked", "remote"),
            ("remote", "agreed", "local"),
            ("remote", "on", ""),
            ("remote", "off", ""),
        ]

    with_a_call(tmp_path, scene)


def test_that_the_other_side_was_asked_is_told_only_until_it_has_answered(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        asked = "asked bob to agree to a recording"
        pair.alice_ui.press("r")
        await until(pair.bob_ui, "remote", "asked")
        assert pair.alice_ui.view.hud.notice == asked
        await asyncio.sleep(QUESTION_REST_S)
        pair.bob_ui.press("y")
        await until(pair.alice_ui, "local", "on")
        assert pair.alice_ui.view.hud.notice != asked
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_a_recording_holds_both_directions_with_times_and_both_consents(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        await agreed(pair)
        await asyncio.sleep(5)
        await hung_up(pair)
        (path,) = kept(pair.alice)
        assert str(path) == pair.alice_ui.of(events.Recording)[-1].file
        assert not kept(pair.bob)
        reader, entries = beside(lambda: read(pair.alice, path))
        head, call = reader.head, pair.alice_ui.of(events.Connected)[0].call
        assert reader.whole
        assert (head.call, head.handshake[: len(call)]) == (call, call)
        assert (head.own.name, head.other.name) == ("alice", "bob")
        assert head.own.key == pair.alice.identity.public.hex()
        assert head.other.key == pair.bob.identity.public.hex()
        assert head.asked_at <= head.agreed_at
        assert reader.until == int(head.agreed_at) + RECORDING_DAYS * 24 * 3600
        for track in (Track.SOUND_SENT, Track.SOUND_RECEIVED):
            times = [entry.at_ms for entry in entries if entry.track is track]
            assert 230 <= len(times) <= 260
            assert times == sorted(times)
            assert 4500 <= times[-1] <= 5500

    with_a_call(tmp_path, scene)


def test_nothing_is_kept_of_a_recording_that_was_refused(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        alice, bob = pair.alice_ui, pair.bob_ui
        alice.press("r")
        await until(bob, "remote", "asked")
        bob.press("n")
        await until(alice, "local", "refused")
        assert alice.view.hud.notice == "bob does not agree to a recording"
        await asyncio.sleep(2)
        assert not alice.view.hud.records and not bob.view.hud.remote_records
        await hung_up(pair)
        assert not kept(pair.alice)
        assert states(bob)[-1] == ("remote", "refused", "local")

    with_a_call(tmp_path, scene)


def test_whoever_agreed_takes_it_back_and_the_file_is_closed_within_a_second(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        await agreed(pair)
        await asyncio.sleep(2)
        pair.bob_ui.press("r")
        at = asyncio.get_running_loop().time()
        await until(pair.alice_ui, "local", "off")
        await until(pair.bob_ui, "remote", "off")
        assert asyncio.get_running_loop().time() - at < 1
        (path,) = kept(pair.alice)
        reader, entries = beside(lambda: read(pair.alice, path))
        assert reader.whole
        await asyncio.sleep(2)
        assert beside(lambda: read(pair.alice, path))[1] == entries
        assert ("local", "withdrawn", "remote") in states(pair.alice_ui)
        assert pair.alice_ui.view.hud.notice == "bob has ended the recording"
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_both_hear_a_tone_when_a_recording_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    with_tone = recording_tone()

    def counted(pull: Any, over: Callable[[], None]) -> Any:
        begun.append(1)
        return with_tone(pull, over)

    monkeypatch.setattr("p2pcall.engine.live.with_tone", counted)

    async def scene(pair: Pair) -> None:
        await agreed(pair)
        assert len(begun) == 2
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def recording_tone() -> Any:
    from p2pcall.engine.notice_tone import with_tone

    return with_tone


def test_the_tone_is_over_what_is_said_and_ends(tmp_path: Path) -> None:
    ended: list[int] = []
    pull = recording_tone()(lambda samples: b"\x10\x00" * samples, lambda: ended.append(1))
    heard = b"".join(pull(480) for _ in range(50))
    assert (
        max(abs(int.from_bytes(heard[at : at + 2], "little", signed=True)) for at in range(0, 9600, 2)) > 5000
    )
    assert ended
    assert pull(480) == b"\x10\x00" * 480


def test_who_presses_a_key_before_reading_the_question_has_not_agreed(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press("r")
        await until(pair.bob_ui, "remote", "asked")
        pair.bob_ui.press("y")
        assert pair.bob_ui.view.hud.question
        await asyncio.sleep(2)
        assert not pair.alice_ui.view.hud.records
        pair.bob_ui.press("m")
        assert pair.bob_ui.view.hud.muted and pair.bob_ui.view.hud.question, "other keys keep their meaning"
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_a_yes_to_a_question_of_ones_own_does_not_agree_to_a_recording(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        bob = pair.bob_ui
        bob.press("i")
        pair.alice_ui.press("r")
        await until(bob, "remote", "asked")
        await asyncio.sleep(2)
        bob.press("y")
        await bob.wait(events.Verified)
        assert bob.view.hud.question
        bob.press("y")
        assert bob.view.hud.question, "it was pressed twice in a hurry"
        await asyncio.sleep(QUESTION_REST_S)
        bob.press("y")
        await until(pair.alice_ui, "local", "on")
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_where_nobody_can_be_asked_nobody_has_agreed(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press("r")
        await until(pair.alice_ui, "local", "refused")
        assert [state for _, state, _ in states(pair.bob_ui)] == ["asked", "refused"]
        await hung_up(pair)

    def blind(self: SeeingUi, mode: str, on_key: Callable[[str], None]) -> Any:
        self.press = on_key
        return None if self.blind else self.view

    async def work(pair: Pair) -> None:
        await scene(pair)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SeeingUi, "blind", False, raising=False)
        patch.setattr(SeeingUi, "open_view", blind)
        before = Pair.up

        async def up(pair: Pair) -> Any:
            pair.bob_ui.blind = True
            return await before(pair)

        patch.setattr(Pair, "up", up)
        with_a_call(tmp_path, work)


def test_an_older_program_never_answers_and_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(pair: Pair) -> None:
        monkeypatch.setattr(recording.CallRecording, "on_message", lambda *_: None)
        pair.alice_ui.press("r")
        await until(pair.alice_ui, "local", "withdrawn")
        assert not states(pair.bob_ui)
        assert "no answer" in pair.alice_ui.view.hud.notice
        await hung_up(pair)

    with_a_call(tmp_path, scene)


# ---- hostile peers


def test_an_agreement_that_nobody_asked_for_records_nothing(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        acts = (RecordAct.AGREE, RecordAct.REVOKE, RecordAct.STOP, RecordAct.REFUSE)
        said(pair, *(RecordMessage(act, number) for act in acts for number in (0, 1, 2)))
        await asyncio.sleep(2)
        assert not states(pair.bob_ui)
        pair.bob_ui.press("r")
        await until(pair.alice_ui, "remote", "asked")
        said(pair, RecordMessage(RecordAct.AGREE, 99))
        await asyncio.sleep(2)
        assert [state for _, state, _ in states(pair.bob_ui)] == ["asked"]
        await hung_up(pair)
        assert not kept(pair.bob)

    with_a_call(tmp_path, scene)


def test_a_flood_of_requests_asks_a_person_few_times(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        bob = pair.bob_ui
        shown = 0
        for number in range(600):
            said(pair, RecordMessage(RecordAct.ASK, number, 30), RecordMessage(RecordAct.STOP, number))
            await asyncio.sleep(0.1)
            if bob.view.hud.question:
                shown += 1
                bob.press("n")
        assert len(bob.of(events.Recording)) <= 3 * MAX_QUESTIONS
        assert QUESTION_PAUSE_S * MAX_QUESTIONS < 600 * 0.1
        assert shown <= MAX_QUESTIONS
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_malformed_messages_about_recordings_change_nothing(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        (line,) = pair.alice.node._lines.values()
        for body in (b"", b"\1", bytes(7), b"\x09" + bytes(6), bytes(96)):
            line.send_control(ControlType.RECORD, body)
        await asyncio.sleep(1)
        assert not states(pair.bob_ui)
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_who_says_that_it_records_without_having_asked_is_told_of(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        (line,) = pair.alice.node._lines.values()
        line.send_control(ControlType.MEDIA, bytes([media_flags(True, False, True)]))
        warning = await pair.bob_ui.wait(events.Warning)
        assert (warning.slug, pair.bob_ui.view.hud.remote_records) == ("recorded-unasked", True)
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_a_flickering_mark_sounds_no_tone_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounded: list[int] = []
    monkeypatch.setattr("p2pcall.engine.live.LiveCall._sound_notice", lambda _: sounded.append(1))

    async def scene(pair: Pair) -> None:
        (line,) = pair.alice.node._lines.values()
        for number in range(40):
            line.send_control(ControlType.MEDIA, bytes([media_flags(True, False, number % 2 == 0)]))
            await asyncio.sleep(0.25)
        assert len(sounded) == 1
        assert len(pair.bob_ui.of(events.Warning)) == 1
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_who_does_not_stop_when_the_yes_is_taken_back_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(pair: Pair) -> None:
        await agreed(pair)
        monkeypatch.setattr(recording.CallRecording, "_stop_own", lambda *_: False)
        pair.bob_ui.press("r")
        warning = await pair.bob_ui.wait(events.Warning)
        assert warning.slug == "still-recording"
        assert pair.bob_ui.view.hud.remote_records
        monkeypatch.undo()
        await hung_up(pair)

    with_a_call(tmp_path, scene)
