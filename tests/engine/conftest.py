"""Fixtures of the tests of whole calls."""

from collections.abc import Iterator
from unittest import mock

import pytest

from p2pcall.engine import caller
from p2pcall.engine.station import Station
from p2pcall.net.address import DEFAULT_PORT, Target


@pytest.fixture
def named() -> Iterator[None]:
    """Whoever dials an address finds the key that is pinned to it, as one does who dials somebody by name."""

    async def locate(side: Station, target: Target) -> caller.Found:
        return caller.Found([(target.host, DEFAULT_PORT)], side.people.expected_key(target.host), target.host)

    with mock.patch.object(caller, "locate", locate):
        yield
