"""Events in plain words, one line each, for a person at the terminal or in a log. Pure.

Lower case, no full stop. Text from the other side is filtered before it gets into an event.
"""

import time
from typing import Final

from p2pcall import events
from p2pcall.engine.factor_words import request_text, word_text
from p2pcall.engine.outcome import ENDINGS
from p2pcall.events import Event
from p2pcall.store.contacts import as_typed
from p2pcall.view.hud import trust
from p2pcall.view.sanitize import ERROR_CELLS, clean


def duration(seconds: float) -> str:
    """1:05, or 1:02:03 from an hour on."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _time_of_day(epoch: float) -> str:
    return time.strftime("%H:%M", time.localtime(epoch))


def offer_text(audio: bool, video: bool) -> str:
    """What the caller sends: voice, picture or both."""
    return {(True, True): "voice and picture", (True, False): "voice", (False, True): "picture"}.get(
        (audio, video), ""
    )


def ended_line(event: events.Ended, clock: str) -> str:
    """How a call ended; `clock` is the time of day."""
    after = f" after {duration(event.duration_s)}" if event.duration_s else ""
    name = event.name or "the other side"
    match event.reason, event.by:
        case "missed", _:
            told = f"{clock} missed call from {name}"
        case "hung-up" | "max-duration", "remote":
            told = f"{name} hung up{after}"
        case "max-duration", _:
            told = f"hung up{after} (--max-duration)"
        case _:
            told = ENDINGS[event.reason].words + after
    return told + (f", words: {' '.join(event.sas)}" if event.sas else "")


RECORDING_LINES: Final = {
    ("local", "asked"): "you ask the other side to agree to a recording",
    ("local", "refused"): "the other side does not agree to a recording",
    ("local", "on"): "you record this call: {file}",
    ("local", "off"): "the recording has ended: {file} (p2pcall play)",
    ("remote", "asked"): "the other side asks you to agree to a recording",
    ("remote", "on"): "the other side records this call",
    ("remote", "off"): "the other side records no longer",
}
"""(whose recording, its state) -> a line; what is not here follows from the line after it."""


def recording_line(event: events.Recording) -> str | None:
    """What became of a recording."""
    line = RECORDING_LINES.get((event.side, event.state))
    return None if line is None else line.format(file=clean(event.file, ERROR_CELLS))


def event_line(event: Event, clock: str = "") -> str | None:
    """One line for people; None for events without a text. `clock` is the time of day."""
    match event:
        case events.Listening():
            where = ", ".join(event.addresses) or "no address"
            who = "" if event.reach == "anyone" else " of contacts"
            return f"waiting for calls{who} as {event.name}, port {event.port} ({where})"
        case events.Dialling():
            return f"calling {event.target} at {event.address}"
        case events.CodeRequired():
            return request_text(event.name, event.why, event.left, event.seconds)
        case events.SafeWordChecked():
            return word_text(event.name, event.result)
        case events.Ringing():
            return "it rings"
        case events.Incoming():
            what = offer_text(event.audio, event.video)
            brings = f"is calling: {what}" if what else "is calling, sends neither sound nor picture"
            known = trust(event.known) + (", not a contact" if event.known == "new" else "")
            return f"{event.name} ({known}, {event.fingerprint}) {brings}"
        case events.Connected():
            return (
                f"connected with {event.name} ({trust(event.known)}), {event.protocol}, "
                f"words: {' '.join(event.sas)}"
            )
        case events.Media():
            who = "you" if event.side == "local" else "the other side"
            return (
                f"{who}: microphone {'on' if event.audio else 'off'}, camera {'on' if event.video else 'off'}"
            )
        case events.Recording():
            return recording_line(event)
        case events.Reconnecting():
            return "the other side is not heard: waiting for the network"
        case events.Reconnected():
            return f"the other side is heard again, after {duration(event.ms / 1000)}"
        case events.Verified():
            if event.known == "verified":
                return f"{event.name} is verified from now on"
            return f"{event.name} is not verified: the words are not the same"
        case events.Invited():
            return f"the code is {event.code}; it works once, until {_time_of_day(event.until)}"
        case events.Paired():
            who = "" if event.claimed == event.name else f", who says to be {event.claimed},"
            return f"{event.name}{who} is a verified contact from now on: p2pcall dial {as_typed(event.name)}"
        case events.ContactRotated():
            if event.side == "local":
                return f"{event.name} knows your new key from now on"
            return (
                f"{event.name} has a new key, {event.fingerprint}: it was shown by the old one, and is kept"
            )
        case events.Ended():
            return ended_line(event, clock)
        case events.Warning():
            when = f"{clock} " if event.name and clock else ""  # who called may be called back: when
            return f"p2pcall: warning: {when}{event.text}"
        case events.Error():
            hint = f"\np2pcall: hint: {event.hint}" if event.hint else ""
            return f"p2pcall: error: {event.text}{hint}"
        case _:
            return None
