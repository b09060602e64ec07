"""`p2pcall invite` and `p2pcall join`: what to say to the other person, and the question for the code.

A code is asked for only at a terminal, where Tab completes its words. The code is no lasting secret: it works once, for
minutes, so it may be an argument; `-` takes it from standard input, where other users of the machine do not see it.
"""

import asyncio
import gc
from collections.abc import Mapping
from typing import Any, Final

from p2pcall import events
from p2pcall.cli.options import check_dialable
from p2pcall.cli.output import CommandOutput
from p2pcall.cli.qr import show_qr
from p2pcall.cli.shown_name import shown_name
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.engine.first_contact import PairingSettings, run_invite, run_join
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.events import Event
from p2pcall.net.address import DEFAULT_PORT
from p2pcall.pairing.code import Invitation, completions, parse_invitation
from p2pcall.pairing.constants import MAX_CODE_CHARS
from p2pcall.store.contacts import normalise_name
from p2pcall.store.home import Home

FROM_STDIN: Final = "-"
HOW_CODES_LOOK: Final = "a code is like 7-crossover-clockwork; `p2pcall invite` makes one on the other side"


class _InviteOutput(CommandOutput):
    """Says to a person also what to do with the code."""

    def __init__(self, env: Env, *, json: bool) -> None:
        super().__init__(env, json=json)
        self._words = None if json else env

    def emit(self, event: Event) -> None:
        super().emit(event)
        if self._words is None or not isinstance(event, events.Invited):
            return
        self.say("tell it to the other person, and to nobody else; they type")
        self.say(f"  p2pcall join {event.code}")
        for host in event.addresses[:1]:
            place = f"[{host}]" if ":" in host else host
            self.say("or on another network, if this address can be reached from there")
            self.say(f"  p2pcall join {event.code} {place}:{event.port}")
        self.say("or, in place of the code, this, which holds your key as well")
        self._settle()
        self._words.stdout.write(f"{event.uri}\n")
        show_qr(self._words, event.uri)
        self._words.stdout.flush()
        # the code once more: on a small terminal the lines above have scrolled away
        self.say(f"waiting for the other person to type {event.code}")


def _settings(home: Home, given: Mapping[str, Any], port: int | None) -> PairingSettings:
    kept_as = given["kept_as"]
    if kept_as is not None:
        kept_as = normalise_name(kept_as)
        check_dialable(kept_as, "--as")
    return PairingSettings(
        shown_name(home, given["name"]),
        kept_as,
        tuple(given["bind"] or ()),
        DEFAULT_PORT if port is None else port,
        port is not None,
    )


def invite_somebody(env: Env, home: Home, given: Mapping[str, Any]) -> ExitCode:
    """`p2pcall invite`, with its options as parsed."""
    settings = _settings(home, given, given["port"])
    gc.enable()  # everything is loaded (`cli.run`)
    with _InviteOutput(env, json=given["json"]) as output:
        asyncio.run(run_invite(env, settings, home, output, given["words"]))
    return ExitCode.OK


def join_somebody(env: Env, home: Home, given: Mapping[str, Any]) -> ExitCode:
    """`p2pcall join`, with its arguments and options as parsed."""
    settings = _settings(home, given, 0)
    invitation = _ask(env, json=given["json"]) if given["code"] is None else _read(env, given["code"])
    gc.enable()
    with CommandOutput(env, json=given["json"]) as output:
        asyncio.run(run_join(env, settings, home, output, invitation, given["address"]))
    return ExitCode.OK


def _read(env: Env, typed: str) -> Invitation:
    """The code in the argument, or in a line of standard input."""
    text = env.stdin.readline(MAX_CODE_CHARS + 1) if typed == FROM_STDIN else typed
    try:
        return parse_invitation(text)
    except ValueError as error:
        raise P2PCallError("bad-code", f"that is no code: {error}", ExitCode.USAGE, HOW_CODES_LOOK) from error


def _ask(env: Env, *, json: bool) -> Invitation:
    """Ask at the terminal until there is a code."""
    if json or not (env.stdin.isatty() and env.stdout.isatty()):
        raise usage(
            "CODE is missing, and without a terminal, or with --json, nobody is asked for it",
            "p2pcall join CODE",
        )
    _complete_words()
    while True:
        try:
            return parse_invitation(input("code (Tab completes a word): "))
        except EOFError:
            raise P2PCallError("interrupted", "interrupted", ExitCode.INTERRUPTED) from None
        except ValueError as error:
            say(env, f"that is no code: {error}")


def _complete_words() -> None:
    """Let Tab complete the word of a code that is being typed."""
    try:
        import readline
    except ImportError:
        return
    readline.set_completer_delims("")
    readline.set_completer(lambda text, state: dict(enumerate(completions(text))).get(state))
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
