"""The second factor in whole calls: right, wrong, locked, another clock; what rings, what is told, what floods do."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.offload import offload
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.factor.passcode import (
    CODE_STEP_S,
    FAILURES_TO_LOCK,
    TRIES,
    CodeVerdict,
    PasscodeRequest,
    code_at,
    pack_request,
)
from p2pcall.proto.messages import ControlType
from p2pcall.store.calllog import CallLog
from p2pcall.store.contact_secrets import Secret, contact_secret
from p2pcall.store.factor_blobs import parse_tried
from p2pcall.store.home import Home
from p2pcall.types import Reach

SECRET, HOUSE = b"s" * 20, b"h" * 20


def code(secret: bytes, epoch: float, steps: int = 0) -> str:
    return code_at(secret, int(epoch // CODE_STEP_S) + steps).decode()


class Scene:
    """Bob listens, and wants a code of alice, who is a contact of his, unless `secret` is None."""

    def __init__(
        self, folder: Path, *, secret: bytes | None = SECRET, known: bool = True, **bobs: Any
    ) -> None:
        self.folder, self.network, self.seeds = folder, Network(), count(100)
        self.alice_ui, self.bob_ui = FakeUi(), FakeUi("audio")
        bobs.setdefault("reach", Reach.ANYONE)
        self.bob = agent(folder, "bob", self.bob_ui, self.network, BOB, 2, **bobs)
        self.alice = self.caller()
        if known:
            beside(partial(self.bob.trust.pin, "alice", self.alice.identity.public, 0.0))
        if secret is not None:
            beside(partial(self.bob.trust.factors.require, self.alice.identity.public, secret))

    def caller(self, **settings: Any) -> UserAgent:
        self.alice = agent(
            self.folder,
            "alice",
            self.alice_ui,
            self.network,
            ALICE,
            next(self.seeds),
            max_duration_s=1.0,
            **settings,
        )
        return self.alice

    @property
    def epoch(self) -> float:
        return self.bob.env.clock.time()

    async def call(self) -> Outcome:
        return await dial(self.alice)

    def rang(self) -> bool:
        return bool(self.bob_ui.of(events.Incoming)) or bool(self.alice_ui.of(events.Ringing))

    def whys(self) -> list[str]:
        return [event.why for event in self.alice_ui.of(events.CodeRequired)]

    def warned(self) -> list[str]:
        return [event.slug for event in self.bob_ui.of(events.Warning)]


def played(folder: Path, work: Callable[[Scene], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def whole() -> None:
        scene = Scene(folder, **settings)
        task = await listening(scene.bob)
        await work(scene)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(whole)


def test_it_rings_after_the_right_code_and_not_before(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["later"]
        calling = asyncio.ensure_future(scene.call())
        await scene.alice_ui.wait(events.CodeRequired)
        await asyncio.sleep(60)
        assert not scene.rang()
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        scene.caller()
        scene.alice_ui.codes = [code(SECRET, scene.epoch)]
        assert (await scene.call()).exit is ExitCode.OK
        assert scene.rang()
        assert len(scene.bob_ui.of(events.Connected)) == 1

    played(tmp_path, work)


def test_a_wrong_code_rings_nobody_and_ends_with_exit_5(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["000000"] * TRIES
        outcome = await scene.call()
        assert (outcome.reason, outcome.exit) == ("wrong-code", ExitCode.UNTRUSTED)
        assert scene.whys() == ["asked", "wrong", "wrong", "wrong"]
        assert [event.left for event in scene.alice_ui.of(events.CodeRequired)] == [3, 2, 1, 0]
        missed = await scene.bob_ui.wait(events.Missed)
        assert (missed.name, missed.known) == ("alice", "contact")
        assert not scene.rang()
        assert "wrong-code" in scene.warned()

    played(tmp_path, work)


def test_a_call_that_rang_nobody_for_want_of_a_code_is_in_both_call_logs_once(tmp_path: Path) -> None:
    async def logged(side: UserAgent) -> list[tuple[bool, str, str]]:
        await side.history.close()
        calls = await offload(lambda: CallLog(side.vault).newest(side.env.clock.time()))
        return [(call.outgoing, call.known, call.reason) for call in calls]

    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["000000"] * TRIES
        await scene.call()
        await scene.bob_ui.wait(events.Missed)
        assert await logged(scene.alice) == [(True, "new", "wrong-code")]
        assert await logged(scene.bob) == [(False, "contact", "missed")]

    played(tmp_path, work)


def test_a_wrong_code_may_be_followed_by_the_right_one_in_the_same_call(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["000000", code(SECRET, scene.epoch)]
        assert (await scene.call()).exit is ExitCode.OK
        assert scene.alice_ui.asked_for_code == [scene.alice_ui.of(events.CodeRequired)[0].name] * 2

    played(tmp_path, work)


def test_five_wrong_codes_lock_the_contact_whatever_the_code_and_only_for_a_time(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        while (await wrong(scene)) != "code-locked":
            pass
        assert scene.whys().count("wrong") == FAILURES_TO_LOCK - 1, "the fifth tells of the lock"
        scene.caller()
        scene.alice_ui.codes = [code(SECRET, scene.epoch)]
        outcome = await scene.call()
        assert (outcome.reason, outcome.exit) == ("code-locked", ExitCode.UNTRUSTED)
        last = scene.alice_ui.of(events.CodeRequired)[-1]
        assert (last.why, last.left, last.seconds) == ("locked", 0, 60)
        assert not scene.rang()
        scene.bob.env.clock.now += 60
        scene.caller()
        scene.alice_ui.codes = [code(SECRET, scene.epoch)]
        assert (await scene.call()).exit is ExitCode.OK

    async def wrong(scene: Scene) -> str:
        scene.caller()
        scene.alice_ui.codes = ["000000"] * TRIES
        return (await scene.call()).reason

    played(tmp_path, work)


@pytest.mark.parametrize(
    ("steps", "text"), [(6, "3 minutes ahead of bob's"), (-10, "5 minutes behind bob's")]
)
def test_a_clock_wrong_by_minutes_is_told_to_both_and_the_code_is_not_taken(
    tmp_path: Path, steps: int, text: str
) -> None:
    from p2pcall.cli.event_text import event_line

    async def work(scene: Scene) -> None:
        beside(partial(scene.alice.trust.pin, "bob", scene.bob.identity.public, 0.0))
        scene.alice_ui.codes = [code(SECRET, scene.epoch, steps), None]
        outcome = await scene.call()
        assert outcome.exit is ExitCode.UNTRUSTED
        told = scene.alice_ui.of(events.CodeRequired)[1]
        assert (told.why, told.seconds) == ("clock", steps * CODE_STEP_S)
        assert text in (event_line(told) or "")
        assert not scene.rang()

    played(tmp_path, work)


def test_a_code_works_once_over_calls(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        given = code(SECRET, scene.epoch)
        scene.alice_ui.codes = [given]
        assert (await scene.call()).exit is ExitCode.OK
        scene.caller()
        scene.alice_ui.codes = [given, None]
        assert (await scene.call()).reason == "no-code"
        assert scene.whys()[-1] == "used"

    played(tmp_path, work)


def test_who_is_answered_without_asking_gives_the_homes_code_first(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await offload(partial(scene.bob.trust.factors.require_unasked, HOUSE))
        scene.alice_ui.codes = ["000000", code(HOUSE, scene.epoch)]
        assert (await scene.call()).exit is ExitCode.OK
        assert scene.bob_ui.offered_camera is None, "nobody was asked"

    played(tmp_path, work, secret=None, answer=Answer.CONTACTS)


def test_who_is_asked_about_needs_no_code_of_the_homes(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await offload(partial(scene.bob.trust.factors.require_unasked, HOUSE))
        assert (await scene.call()).exit is ExitCode.OK
        assert scene.whys() == []

    played(tmp_path, work, secret=None)


def test_without_a_terminal_or_a_script_no_code_is_given_and_the_exit_is_5(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        outcome = await scene.call()
        assert (outcome.reason, outcome.exit) == ("no-code", ExitCode.UNTRUSTED)
        await scene.bob_ui.wait(events.Missed)
        assert "no-code" in scene.warned()

    played(tmp_path, work)


def test_who_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["later"]
        assert (await scene.call()).reason == "no-code"
        assert not scene.rang()

    played(tmp_path, work)


def test_without_the_code_nobody_learns_whether_this_side_is_busy_or_would_answer(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["000000"] * TRIES
        assert (await scene.call()).reason == "wrong-code"
        scene.caller()
        scene.alice_ui.codes = [code(SECRET, scene.epoch)]
        assert (await scene.call()).reason == "declined"

    played(tmp_path, work, answer=Answer.NEVER)


def test_a_script_gives_the_code_of_a_file_once(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        file = tmp_path / "code"
        file.write_text(code(SECRET, scene.epoch) + "\n")
        scene.caller(pin_file=str(file))
        assert (await scene.call()).exit is ExitCode.OK
        scene.caller(pin_file=str(file))
        outcome = await scene.call()
        assert (outcome.reason, outcome.exit) == ("used-code", ExitCode.UNTRUSTED)
        assert scene.alice_ui.asked_for_code == []

    played(tmp_path, work)


@pytest.mark.parametrize("content", [None, b"", b"12345", b"\xff\xfe", b"code: 123456"])
def test_a_file_without_a_code_is_an_error_and_is_not_repeated_to_anybody(
    tmp_path: Path, content: bytes | None
) -> None:
    async def work(scene: Scene) -> None:
        file = tmp_path / "code"
        if content is not None:
            file.write_bytes(content)
        scene.caller(pin_file=str(file))
        with pytest.raises(P2PCallError) as caught:
            await scene.call()
        assert (caught.value.slug, caught.value.exit) == ("no-code", ExitCode.CONFIG)
        assert "12345" not in caught.value.text
        assert not scene.rang()

    played(tmp_path, work)


def test_codes_that_flood_in_are_tries_like_any_other_and_then_the_line_is_closed(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["later"]
        calling = asyncio.ensure_future(scene.call())
        await scene.alice_ui.wait(events.CodeRequired)
        (line,) = scene.alice.node._lines.values()
        for number in range(30):
            line.send_control(ControlType.PASSCODE, b"%06d" % number)
        assert (await calling).exit in (ExitCode.UNTRUSTED, ExitCode.REFUSED)
        await scene.bob_ui.wait(events.Missed)
        tried = contact_secret(scene.bob.vault, scene.alice.identity.public, Secret.TOTP_TALLY)
        assert parse_tried(tried).tally.failures == TRIES
        assert not scene.rang()

    played(tmp_path, work)


def test_codes_before_they_are_asked_for_do_nothing(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.bob_ui.answer = "later"
        calling = asyncio.ensure_future(scene.call())
        await scene.alice_ui.wait(events.Ringing)
        (line,) = scene.alice.node._lines.values()
        line.send_control(ControlType.PASSCODE, b"123456")
        line.send_control(ControlType.SAFE_WORD, b"\0\x01" + b"x" * 32)
        await asyncio.sleep(1)
        assert not calling.done()
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)

    played(tmp_path, work, secret=None)


def test_a_called_side_that_asks_for_ever_gets_no_more_than_its_tries(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.bob_ui.answer = "later"
        scene.alice_ui.codes = ["111111"] * 50
        calling = asyncio.ensure_future(scene.call())
        await scene.alice_ui.wait(events.Ringing)
        (line,) = scene.bob.node._lines.values()
        for verdict in (CodeVerdict.RIGHT, *[CodeVerdict.WRONG] * 20):
            line.send_control(ControlType.PASSCODE_REQUEST, pack_request(PasscodeRequest(verdict, 255)))
            line.send_control(ControlType.PASSCODE_REQUEST, b"\xff" * 6)
            await asyncio.sleep(0.1)
        assert (await calling).reason == "wrong-code"
        assert len(scene.alice_ui.asked_for_code) == TRIES

    played(tmp_path, work, secret=None)


def test_a_newer_call_of_the_same_key_takes_the_place_of_one_that_waits(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["later"]
        first = asyncio.ensure_future(scene.call())
        await scene.alice_ui.wait(events.CodeRequired)
        ui = FakeUi()
        ui.codes = [code(SECRET, scene.epoch)]
        second = agent(tmp_path, "alice", ui, scene.network, "10.0.0.9", 9, max_duration_s=1.0)
        assert (await dial(second)).exit is ExitCode.OK
        assert (await first).reason == "no-code"

    played(tmp_path, work)


def test_of_strangers_few_are_waited_for_at_once(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await offload(partial(scene.bob.trust.factors.require_unasked, HOUSE))
        calls = []
        for number in range(6):
            ui = FakeUi()
            ui.codes = ["later"]
            side = agent(tmp_path, f"eve{number}", ui, scene.network, f"10.0.1.{number + 1}", 20 + number)
            calls.append(asyncio.ensure_future(dial(side)))
        reasons = [outcome.reason for outcome in await asyncio.gather(*calls)]
        assert reasons.count("busy") == 2
        assert not scene.bob_ui.of(events.Incoming)

    played(tmp_path, work, secret=None, known=False, answer=Answer.ANYONE)


def test_a_blocked_contact_is_asked_as_before_and_nothing_is_told(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        printed = scene.alice.identity.fingerprint
        await offload(partial(scene.bob.trust._contacts.block, printed, 1.0))
        scene.alice_ui.codes = ["000000"] * TRIES
        assert (await scene.call()).reason == "wrong-code"
        scene.caller(ring_timeout_s=10.0)
        scene.alice_ui.codes = [code(SECRET, scene.epoch)]
        assert (await scene.call()).reason == "no-answer"
        assert scene.alice_ui.of(events.Ringing)
        assert not scene.bob_ui.of(events.Missed)
        assert not scene.bob_ui.of(events.Incoming)

    played(tmp_path, work)


def test_contacts_that_cannot_be_read_let_nobody_in_without_a_code(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.alice_ui.codes = ["later"]
        calling = asyncio.ensure_future(scene.call())
        await scene.alice_ui.wait(events.CodeRequired)
        Home.at(tmp_path / "bob").vault_path.write_bytes(b"{")
        (line,) = scene.alice.node._lines.values()
        line.send_control(ControlType.PASSCODE, code(SECRET, scene.epoch).encode())
        assert (await calling).exit is ExitCode.REFUSED
        assert not scene.rang()
        assert "damaged-file" in scene.warned()

    played(tmp_path, work)


def test_a_code_may_come_through_a_pipe_with_a_name(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        given = code(SECRET, scene.epoch)
        writer = Thread(target=lambda: pipe.write_text(given + "\n"))
        writer.start()
        scene.caller(pin_file=str(pipe))
        assert (await scene.call()).exit is ExitCode.OK
        writer.join()

    played(tmp_path, work)
