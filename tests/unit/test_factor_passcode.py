"""The second factor: which code is right at which time, that it works once, and what wrong ones cost."""

import pytest

from p2pcall.factor.passcode import (
    CODE_STEP_S,
    FAILURES_TO_LOCK,
    FIRST_LOCK_S,
    LONGEST_LOCK_S,
    MAX_USED,
    TOLD_STEPS,
    CodeVerdict,
    Passcode,
    PasscodeRequest,
    Tally,
    code_at,
    judge_code,
    locked_s,
    pack_request,
    parse_passcode,
    parse_request,
)

SECRET = b"12345678901234567890"
NOW = 1_700_000_010.0
STEP = int(NOW // CODE_STEP_S)
FRESH = Passcode(SECRET)


def given(steps: int) -> bytes:
    """The code of so many steps from now."""
    return code_at(SECRET, STEP + steps)


@pytest.mark.parametrize(
    ("epoch", "code"),
    [
        (59, b"287082"),
        (1111111109, b"081804"),
        (1111111111, b"050471"),
        (1234567890, b"005924"),
        (2000000000, b"279037"),
        (20000000000, b"353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(epoch: int, code: bytes) -> None:
    assert code_at(SECRET, epoch // CODE_STEP_S) == code


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_is_right_one_step_early_or_late(steps: int) -> None:
    assert judge_code(FRESH, Tally(), given(steps), NOW).verdict is CodeVerdict.RIGHT


def test_a_code_works_once() -> None:
    first = judge_code(FRESH, Tally(), given(0), NOW)
    again = judge_code(first.passcode, first.tally, given(0), NOW + 1)
    assert (again.verdict, again.tally.failures) == (CodeVerdict.USED, 0)
    assert judge_code(again.passcode, again.tally, given(1), NOW + CODE_STEP_S).verdict is CodeVerdict.RIGHT


@pytest.mark.parametrize("steps", [-TOLD_STEPS, -2, 2, 10, TOLD_STEPS])
def test_a_code_of_a_clock_wrong_by_minutes_is_told_and_not_taken(steps: int) -> None:
    judged = judge_code(FRESH, Tally(), given(steps), NOW)
    assert (judged.verdict, judged.seconds) == (CodeVerdict.CLOCK, steps * CODE_STEP_S)
    assert judged.tally.failures == 1


def test_a_code_that_was_told_to_be_of_a_later_time_does_not_work_then() -> None:
    judged = judge_code(FRESH, Tally(), given(4), NOW)
    assert (
        judge_code(judged.passcode, judged.tally, given(4), NOW + 4 * CODE_STEP_S).verdict is CodeVerdict.USED
    )


@pytest.mark.parametrize("steps", [-TOLD_STEPS - 1, TOLD_STEPS + 1])
def test_a_code_of_another_hour_is_wrong(steps: int) -> None:
    assert judge_code(FRESH, Tally(), given(steps), NOW).verdict is CodeVerdict.WRONG


@pytest.mark.parametrize("code", [b"", b"1", b"0000000", b"\xff" * 6, b"12345\n"])
def test_anything_that_is_no_code_is_wrong_and_counts(code: bytes) -> None:
    judged = judge_code(FRESH, Tally(), code, NOW)
    assert (judged.verdict, judged.tally.failures) == (CodeVerdict.WRONG, 1)


def test_five_failures_lock_for_a_growing_time_and_no_code_is_looked_at_meanwhile() -> None:
    tally, now, locks = Tally(), NOW, []
    for _ in range(8):
        for _ in range(FAILURES_TO_LOCK):
            assert locked_s(tally, now) == 0
            tally = judge_code(FRESH, tally, b"no", now).tally
        locks.append(locked_s(tally, now))
        judged = judge_code(FRESH, tally, code_at(SECRET, int(now // CODE_STEP_S)), now)
        assert (judged.verdict, judged.seconds) == (CodeVerdict.LOCKED, locks[-1])
        assert (judged.passcode, judged.tally) == (FRESH, tally), "it is not even counted"
        now += locks[-1]
    assert locks[:4] == [FIRST_LOCK_S, 4 * FIRST_LOCK_S, 16 * FIRST_LOCK_S, 64 * FIRST_LOCK_S]
    assert locks[-1] == locks[-2] == LONGEST_LOCK_S
    assert judge_code(FRESH, tally, code_at(SECRET, int(now // CODE_STEP_S)), now).tally == Tally()


def test_a_right_code_ends_the_count_of_failures() -> None:
    tally = Tally(FAILURES_TO_LOCK - 1)
    assert judge_code(FRESH, tally, given(0), NOW).tally == Tally()


def test_a_clock_that_was_set_back_makes_no_lock_longer() -> None:
    tally = Tally(FAILURES_TO_LOCK, NOW + FIRST_LOCK_S)
    assert locked_s(tally, NOW - 1_000_000) == FIRST_LOCK_S


def test_used_codes_are_kept_as_long_as_they_are_recognised_and_are_bounded() -> None:
    passcode, now = FRESH, NOW
    for _ in range(3 * MAX_USED):
        passcode = judge_code(passcode, Tally(), code_at(SECRET, int(now // CODE_STEP_S)), now).passcode
        now += CODE_STEP_S
    assert len(passcode.used) == TOLD_STEPS + 1
    future = Passcode(SECRET, tuple(range(STEP + 100, STEP + 100 + MAX_USED)))
    assert len(judge_code(future, Tally(), given(0), NOW).passcode.used) == MAX_USED


def test_nothing_shows_the_secret() -> None:
    assert SECRET.decode() not in repr(judge_code(FRESH, Tally(), given(0), NOW))


def test_times_before_the_epoch_harm_nothing() -> None:
    assert judge_code(FRESH, Tally(), b"123456", 0.0).verdict in set(CodeVerdict)


def test_requests_come_back_as_they_were() -> None:
    request = PasscodeRequest(CodeVerdict.CLOCK, 2, -300)
    assert parse_request(pack_request(request)) == request


@pytest.mark.parametrize("body", [b"", b"\0" * 5, b"\0" * 7, b"\x06\0\0\0\0\0", b"\xff" * 6])
def test_malformed_requests_are_none(body: bytes) -> None:
    assert parse_request(body) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("123456\n", b"123456"),
        (" 123 456 ", b"123456"),
        ("12345", None),
        ("1234567", None),
        ("12345a", None),
        ("١٢٣٤٥٦", None),
        ("", None),
    ],
)
def test_a_typed_code_is_six_digits_with_any_spaces(text: str, code: bytes | None) -> None:
    assert parse_passcode(text) == code
