"""After a call with a new person: ask at the terminal under which name to keep them.

Nobody becomes a contact without an answer to this question; an answered call or a claimed name is not enough. The
claimed name is offered only if no contact has it. Left out: verifying (`verification`), and adding a key by hand
(`cli.records`).
"""

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Final

from p2pcall import events
from p2pcall.engine.offload import offload
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.net.address import undialable

KEEP_TIMEOUT_S: Final = 30.0
"""How long the question waits; a person who has left keeps nobody."""


async def ask_to_keep(agent: UserAgent, who: PeerIdentity, public: bytes, outcome: Outcome) -> None:
    """Ask, and keep the person, unless they are a contact by now. Cancel this to withdraw the question.

    There is no question if the call never became active (it had no words), or if the words were not the same.
    """
    if not outcome.sas or outcome.reason == "not-verified":
        return
    try:
        await _ask(agent, who, public)
    except P2PCallError as error:
        text = f"{who.name} could not be kept: {error.text}"
        agent.ui.emit(events.Warning(error.slug, text))


async def _ask(agent: UserAgent, who: PeerIdentity, public: bytes) -> None:
    trust, problem = agent.trust, ""
    stop = agent.interrupts.fired
    while who.known == "new" and not stop.is_set() and not trust.is_contact(public):
        free = not (who.nameless or undialable(who.name) or trust.expected_key(who.name))
        question = agent.ui.ask_name(who.name, who.fingerprint, who.name if free else "", problem)
        name = None if question is None else await _said(agent, question)
        if not name:
            return
        if trust.expected_key(name) is None:
            await offload(partial(trust.pin, name, public, agent.env.clock.time()))
            agent.ui.progress(f"{name} is a contact from now on")
        else:
            problem = f"{name} is another contact's name"


async def _said(agent: UserAgent, question: Awaitable[str | None]) -> str | None:
    """The name; None if there is no answer, or if this side has to stop."""
    asked = asyncio.ensure_future(question)
    stop = asyncio.ensure_future(agent.interrupts.fired.wait())
    try:
        await asyncio.wait({asked, stop}, timeout=KEEP_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        return asked.result() if asked.done() and not stop.done() else None
    finally:
        for waiting in (asked, stop):
            waiting.cancel()
        await asyncio.gather(asked, stop, return_exceptions=True)  # then the terminal is free again
