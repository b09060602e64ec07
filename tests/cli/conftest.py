"""What several command-line tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clirun import BOB
from window import Window

from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home


@pytest.fixture
def known(home: Path) -> Contacts:
    """Bob is a contact."""
    contacts = Contacts(Home.at(home))
    contacts.pin("bob", BOB, 1_700_000_000)
    return contacts


@pytest.fixture
def window() -> Iterator[Window]:
    """A terminal that is looked at."""
    made = Window()
    yield made
    made.close()
