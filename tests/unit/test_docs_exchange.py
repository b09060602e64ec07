"""What p2pcall(1) says about requests and files of contacts, held to the code."""

from mdoc import items, page

from p2pcall.cli.contacts_files import WHY
from p2pcall.engine.unanswered import ORIGIN_BITS_V4, ORIGIN_BITS_V6, WRITE_EVERY_S
from p2pcall.store.requests import MAX_REQUESTS
from p2pcall.store.retention import REQUEST_DAYS

DAYS_A_WEEK = 7


def described(command: str) -> str:
    """The text about this command."""
    found = {" ".join(item.head[1:]): item.body for item in items(page("p2pcall.1")["COMMANDS"])}
    return " ".join(found[command])


def test_the_numbers_of_requests_are_the_codes() -> None:
    text = described("contacts requests")
    assert f"There is room for {MAX_REQUESTS}." in text
    assert f"an IPv4 /{ORIGIN_BITS_V4}, an IPv6 /{ORIGIN_BITS_V6}" in text
    assert "a week after the first call" in text
    assert REQUEST_DAYS == DAYS_A_WEEK
    assert WRITE_EVERY_S == 5, "at most once in five seconds, says the event"


def test_every_reason_to_leave_something_out_is_described() -> None:
    text = described("contacts import").replace(",", " ").split()
    assert {*WHY} <= {*text}
