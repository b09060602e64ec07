"""`p2pcall privacy settings`: what a person can lastingly choose of what is private, in a sentence each.

Rules: an option of a command wins over a choice, a choice over the default. A choice that is less private than what
counted before says what that costs. Left out: what is chosen once for a call (`options`).
"""

import json as jsonlib
from typing import Final

from msgspec import Struct

from p2pcall.cli import DEBUG
from p2pcall.cli.stdout import say
from p2pcall.cli.values import MOST_SHOWN, one_of, usage, whole
from p2pcall.engine.policy import Announce, Answer, ShowName
from p2pcall.env import Env
from p2pcall.errors import ExitCode
from p2pcall.store import retention
from p2pcall.store.choices import forget_reach, keep_reach, kept_reach
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import keeping
from p2pcall.store.identity_file import Keeping
from p2pcall.store.private_settings import PrivateSetting, keep_setting, kept_settings
from p2pcall.store.recordings import MIN_RECORDING_DAYS, RECORDING_DAYS
from p2pcall.store.vault import Vault
from p2pcall.types import Reach
from p2pcall.view.sanitize import clean

TAKEN_BACK: Final = "default"
"""The value that takes a choice back."""


class Switch(Struct, frozen=True):
    """One thing that can be chosen."""

    name: str
    means: str
    values: tuple[str | int, ...]
    """From the most private on."""
    default: str | int
    costs: tuple[str, ...]
    """What each value but the first gives away; the last stands for all that follow."""
    counts: str
    """From when a choice counts."""
    setting: PrivateSetting | None
    """Its name in the vault; None: it is elsewhere."""

    @property
    def choices(self) -> str:
        """The values as people type them."""
        first, last = self.values[0], self.values[-1]
        return f"{first}-{last}" if isinstance(first, int) else "|".join(map(str, self.values))

    def value_of(self, kept: object) -> str | int | None:
        """The value that equals what is kept; None: there is none."""
        is_one = isinstance(kept, str) or type(kept) is int  # True equals 1, and is no number of days
        return next((one for one in self.values if is_one and one == kept), None)

    def read(self, typed: str) -> str | int:
        """The value that is typed. P2PCallError (usage) if it is none."""
        first, last = self.values[0], self.values[-1]
        if isinstance(first, int):
            return whole(self.name, first, int(last))(typed)
        kind = type(first)
        assert issubclass(kind, Reach | Announce | Answer | ShowName)
        return one_of(self.name, kind)(typed)

    def cost(self, value: str | int) -> str:
        """What a value that is not the first gives away."""
        return self.costs[min(self.values.index(value), len(self.costs)) - 1]


NEXT_LISTEN: Final = "from the next listen on"
NEXT_CALL: Final = "from the next listen or dial on"
NOW: Final = "from now on"
SWITCHES: Final = (
    Switch(
        "reach",
        "Who can make this side ring; to all others the port is silent.",
        (Reach.CONTACTS, Reach.ANYONE),
        Reach.ANYONE,
        ("strangers can make this side ring, and who knows your address can learn your key",),
        NEXT_LISTEN,
        None,
    ),
    Switch(
        "announce",
        "To whom the local network is told, while you listen, that you can be called.",
        (Announce.OFF, Announce.CONTACTS, Announce.PUBLIC),
        Announce.PUBLIC,
        (
            "your contacts on the network see when you listen, and others that somebody does",
            "everybody on the network sees your name, port and addresses while you listen",
        ),
        NEXT_LISTEN,
        PrivateSetting.ANNOUNCE,
    ),
    Switch(
        "answer",
        "Who is answered without asking, and hears your microphone at once.",
        (Answer.NEVER, Answer.ASK, Answer.VERIFIED, Answer.CONTACTS, Answer.ANYONE),
        Answer.ASK,
        (
            "callers hear it ring here, and learn whether you take the call",
            "verified contacts hear your microphone without your saying yes",
            "all contacts hear your microphone without your saying yes",
            "whoever can ring hears your microphone without your saying yes",
        ),
        NEXT_LISTEN,
        PrivateSetting.ANSWER,
    ),
    Switch(
        "show-name",
        "Whether others are shown your name where you give none by --name.",
        (ShowName.OFF, ShowName.ON),
        ShowName.ON,
        ("whoever you call, whoever calls you and, if you announce, the network learn your login name",),
        NEXT_CALL,
        PrivateSetting.SHOW_NAME,
    ),
    Switch(
        "keep-calls",
        "For how many days a call stays in the log; 0 logs none.",
        tuple(range(retention.MAX_DAYS + 1)),
        retention.MAX_DAYS,
        ("with whom you talk, and when, stays on this disk for longer than before",),
        NOW,
        PrivateSetting.HISTORY_DAYS,
    ),
    Switch(
        "keep-recordings",
        "For how many days a recording is kept that you make after the choice.",
        tuple(range(MIN_RECORDING_DAYS, RECORDING_DAYS + 1)),
        RECORDING_DAYS,
        ("what is said in calls that you record stays on this disk for longer than before",),
        NEXT_CALL,
        PrivateSetting.RECORDING_DAYS,
    ),
)
BY_NAME: Final = {switch.name: switch for switch in SWITCHES}
ELSEWHERE: Final = {
    "key": ("How your private key is kept on this disk.", "p2pcall id passphrase"),
    "debug": ("Whether an internal error shows details of a call.", f"{DEBUG} in the environment"),
}
"""What is shown and not chosen here: its sentence, and what changes it."""


class SwitchState(Struct, frozen=True):
    """What counts now."""

    switch: str
    value: str | int
    source: str
    """default, stored or environment."""
    choices: str
    """Empty if it is not chosen here."""
    means: str


def switch_states(env: Env, home: Home) -> list[SwitchState]:
    """All switches as they are now. P2PCallError (config) if what is kept cannot be read."""
    vault = Vault(home)
    kept: dict[str, object] = dict(kept_settings(vault))
    kept["reach"] = kept_reach(home)
    found = []
    for switch in SWITCHES:
        value = switch.value_of(kept.get(switch.setting or switch.name))
        source = "default" if value is None else "stored"
        if value is None:
            value = _default(switch, home, vault)
        found.append(SwitchState(switch.name, value, source, switch.choices, switch.means))
    key = keeping(home)
    found.append(
        SwitchState("key", key, "default" if key is Keeping.PLAIN else "stored", "", ELSEWHERE["key"][0])
    )
    on = bool(env.environ.get(DEBUG))
    source = "environment" if on else "default"
    return [*found, SwitchState("debug", "on" if on else "off", source, "", ELSEWHERE["debug"][0])]


def _default(switch: Switch, home: Home, vault: Vault) -> str | int:
    """What counts if nothing was chosen: only contacts can ring, once there are any."""
    if switch.name == "reach" and Contacts(home, vault).all():
        return Reach.CONTACTS
    return switch.default


def show_settings(env: Env, home: Home, name: str | None, *, json: bool) -> ExitCode:
    """`p2pcall privacy settings`, without a value: all switches, or one."""
    if name is not None and name not in ELSEWHERE:
        _named(name)
    states = [one for one in switch_states(env, home) if name in (None, one.switch)]
    if json:
        for one in states:
            _write(env, one)
        return ExitCode.OK
    wide = max(len(one.switch) for one in states)
    longest = max(len(str(one.value)) for one in states)
    for one in states:
        changed = one.choices or ELSEWHERE[one.switch][1]
        where = f"({one.source})"
        env.stdout.write(f"{one.switch:<{wide}}  {one.value!s:<{longest}}  {where:<13}  {changed}\n")
        env.stdout.write(f"    {one.means}\n")
    say(env, "`p2pcall privacy settings SWITCH VALUE` changes one; the value default takes that back")
    return ExitCode.OK


def change_setting(env: Env, home: Home, name: str, typed: str, *, json: bool) -> ExitCode:
    """`p2pcall privacy settings SWITCH VALUE`."""
    switch = _named(name)
    value = None if typed == TAKEN_BACK else switch.read(typed)
    before = _state_of(env, home, name)
    gone = _keep(env, home, switch, value)
    now = _state_of(env, home, name)
    again = " again, as if never chosen," if value is None else ""
    say(env, f"{name} is {now.value}{again} {switch.counts}" + (f"; {gone} erased" if gone else ""))
    if switch.values.index(now.value) > _openness(switch, before):
        say(env, f"that is less private than before: {switch.cost(now.value)}")
    if json:
        _write(env, now)
    return ExitCode.OK


def _openness(switch: Switch, before: SwitchState) -> int:
    """How much was given away; as long as nobody was chosen who can ring, the first contact shuts strangers out."""
    undecided = switch.setting is None and before.source == "default"
    return 0 if undecided else switch.values.index(before.value)


def _keep(env: Env, home: Home, switch: Switch, value: str | int | None) -> int:
    """Keep the choice; None takes it back. Returns how many entries of the log are too old now."""
    if switch.setting is None:
        if value is None:
            forget_reach(home)
        else:
            keep_reach(home, Reach(str(value)))
        return 0
    if switch.setting is PrivateSetting.HISTORY_DAYS:
        days = None if value is None else int(value)
        return retention.keep_days(Vault(home), days, env.clock.time())
    keep_setting(
        Vault(home), switch.setting, value if value is None or isinstance(value, int) else str(value)
    )
    return 0


def _named(name: str) -> Switch:
    """The switch of that name. P2PCallError (usage) if there is none to change."""
    if name in BY_NAME:
        return BY_NAME[name]
    if name in ELSEWHERE:
        raise usage(
            f"{name} is not chosen here: it is set by {ELSEWHERE[name][1]}", "p2pcall privacy settings"
        )
    there = ", ".join(BY_NAME)
    raise usage(
        f"there is no switch '{clean(name, MOST_SHOWN)}'; there is {there}", "p2pcall privacy settings"
    )


def _state_of(env: Env, home: Home, name: str) -> SwitchState:
    return next(one for one in switch_states(env, home) if one.switch == name)


def _write(env: Env, state: SwitchState) -> None:
    row = {"v": 1} | {field: getattr(state, field) for field in SwitchState.__struct_fields__}
    env.stdout.write(jsonlib.dumps(row, separators=(",", ":")) + "\n")
