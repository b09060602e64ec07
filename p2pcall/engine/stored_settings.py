"""What the user has lastingly chosen (`store.private_settings`), where no option says otherwise.

Who can ring is not here: that choice is asked at each change of the contacts (`reach`).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from msgspec.structs import replace

from p2pcall.engine.policy import NEUTRAL_NAME, Announce, Answer, ShowName
from p2pcall.engine.settings import CallSettings
from p2pcall.store.private_settings import PrivateSetting, chosen_days
from p2pcall.store.recordings import MIN_RECORDING_DAYS, RECORDING_DAYS

_E = TypeVar("_E", bound=StrEnum)


def as_chosen(settings: CallSettings, kept: Mapping[str, str | int]) -> CallSettings:
    """The settings with the user's choices in place of what no option has set; a value that is unknown is none."""
    chosen: dict[str, object] = {
        "announce": _word(Announce, kept.get(PrivateSetting.ANNOUNCE)),
        "answer": _word(Answer, kept.get(PrivateSetting.ANSWER)),
        "name": None if shows_name(kept) else NEUTRAL_NAME,
        "recording_days": chosen_days(
            kept, PrivateSetting.RECORDING_DAYS, MIN_RECORDING_DAYS, RECORDING_DAYS
        ),
    }
    taken = {
        field: value for field, value in chosen.items() if field in settings.unsaid and value is not None
    }
    return replace(settings, **taken) if taken else settings


def shows_name(kept: Mapping[str, str | int]) -> bool:
    """Whether others are shown the user's name if no option gives one."""
    return kept.get(PrivateSetting.SHOW_NAME) != ShowName.OFF


def _word(kind: type[_E], value: object) -> _E | None:
    return next((word for word in kind if word == value), None)
