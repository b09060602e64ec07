"""What `listen` knows of a call while it rings here, and until it is over."""

import asyncio

from msgspec import Struct

from p2pcall import events
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.trust import PeerIdentity
from p2pcall.proto.events import IncomingCall


class RingingCall(Struct):
    """A call from the moment when it may ring."""

    line: PeerConnection
    incoming: IncomingCall
    who: PeerIdentity
    event: events.Incoming
    since: float
    timer: asyncio.TimerHandle | None = None
    """Runs while the caller hears it ring."""
    unasked: bool = False
    """It may be answered without a question: if such calls have to give a code, this one has."""
    asked: bool = False
    outcome: Outcome | None = None
    """Set for a call that was up."""
