"""Recordings: a line that breaks, a full disk, files in the way; what is kept of consents, and who can read it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from calls import beside
from recorded import agreed, hung_up, kept, read, states, until
from seeing import Pair, with_a_call

from p2pcall import events
from p2pcall.engine import recorder as recorder_module
from p2pcall.engine.consents import ConsentKind, ConsentState
from p2pcall.engine.questions import QUESTION_REST_S
from p2pcall.errors import P2PCallError
from p2pcall.proto.constants import SILENT_S


def test_a_recording_ends_when_the_line_is_interrupted_and_does_not_begin_again(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        await agreed(pair)
        pair.network.up = False
        await until(pair.alice_ui, "local", "off")
        await asyncio.sleep(SILENT_S)
        pair.network.up = True
        await pair.alice_ui.wait(events.Reconnected)
        await asyncio.sleep(5)
        for ui in (pair.alice_ui, pair.bob_ui):
            assert not ui.view.hud.records and not ui.view.hud.remote_records
            assert sum(state == "on" for _, state, _ in states(ui)) == 1
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_a_full_disk_ends_the_recording_with_a_sentence_and_not_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, chunk: bytes, *, last: bool = False) -> None:
        raise OSError(28, "No space left on device")

    async def scene(pair: Pair) -> None:
        await agreed(pair)
        monkeypatch.setattr(recorder_module.SealedWriter, "write", full)
        warning = await pair.alice_ui.wait(events.Warning)
        assert warning.slug == "disk-full"
        assert warning.text.startswith("the recording has ended: cannot write ")
        await until(pair.bob_ui, "remote", "off")
        monkeypatch.undo()
        await asyncio.sleep(2)
        assert not pair.alice_ui.of(events.Ended)
        await hung_up(pair)
        (path,) = kept(pair.alice)
        assert not beside(lambda: read(pair.alice, path))[0].whole

    with_a_call(tmp_path, scene)


def test_a_file_that_cannot_be_made_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        beside(lambda: (pair.alice.home.data / "recordings").write_text("in the way"))
        pair.alice_ui.press("r")
        await until(pair.bob_ui, "remote", "asked")
        await asyncio.sleep(QUESTION_REST_S)
        pair.bob_ui.press("y")
        warning = await pair.alice_ui.wait(events.Warning)
        assert warning.slug == "not-a-directory"
        assert not pair.bob_ui.view.hud.remote_records
        await hung_up(pair)

    with_a_call(tmp_path, scene)


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        await until(pair.bob_ui, "remote", "asked")
        await asyncio.sleep(QUESTION_REST_S)
        pair.bob_ui.press("y")
        await until(pair.alice_ui, "local", "on")
        await hung_up(pair)
        assert there.read_text() == "mine"
        assert pair.alice_ui.of(events.Recording)[-1].file == str(tmp_path / "kept-2.rec")

    there = tmp_path / "kept.rec"
    there.write_text("mine")
    with_a_call(tmp_path, scene, record=str(there))


# ---- consents


def test_every_consent_to_a_recording_is_remembered_on_both_sides(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        await agreed(pair)
        pair.bob_ui.press("r")
        await until(pair.alice_ui, "local", "off")
        await hung_up(pair)
        for side, by, name in ((pair.alice, "remote", "bob"), (pair.bob, "local", "alice")):
            told = [one for one in side.consents.remembered if one.kind is ConsentKind.RECORDING]
            assert [one.state for one in told] == [ConsentState.GIVEN, ConsentState.WITHDRAWN]
            assert {(one.by, one.name, one.call) for one in told} == {
                (by, name, pair.alice_ui.of(events.Connected)[0].call)
            }

    with_a_call(tmp_path, scene)


def test_a_recording_in_the_home_has_no_name_in_clear(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        await agreed(pair)
        await asyncio.sleep(2)
        await hung_up(pair)
        (path,) = kept(pair.alice)
        data = beside(path.read_bytes)
        for secret in (b"bob", b"alice", pair.bob.identity.public, pair.bob.identity.public.hex().encode()):
            assert secret not in data
            assert secret.hex() not in path.name
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700

    with_a_call(tmp_path, scene)


def test_only_the_identity_that_has_recorded_can_read_it(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        await agreed(pair)
        await hung_up(pair)
        (path,) = kept(pair.alice)
        with pytest.raises(P2PCallError, match="no recording of this identity"):
            beside(lambda: read(pair.bob, path))

    with_a_call(tmp_path, scene)
