"""Fixtures of the tests of whole calls."""

from collections.abc import Iterator
from unittest import mock

import pytest

from p2pcall.engine import caller
from p2pcall.engine.user_agent import UserAgent
from p2pcall.net.address import DEFAULT_PORT, Target


@pytest.fixture
def named() -> Iterator[None]:
    """Whoever dials an address finds the key that is pinned to it, as one does who dials somebody by name."""

    async def locate(side: UserAgent, target: Target) -> caller.Location:
        return caller.Location(
            [(target.host, DEFAULT_PORT)], side.trust.expected_key(target.host), target.host
        )

    with mock.patch.object(caller, "locate", locate):
        yield
