"""`contacts allow` and `contacts forbid`: what a contact may do, set and said.

A picture is sent only with sound: to allow it allows both, and to forbid sound forbids both.
"""

import json as jsonlib
from collections.abc import Sequence
from typing import Final

from p2pcall.cli.records import no_such_contact
from p2pcall.cli.stdout import say
from p2pcall.env import Env
from p2pcall.errors import ExitCode
from p2pcall.store.contact import Contact
from p2pcall.store.contacts import Contacts, as_typed
from p2pcall.store.home import Home
from p2pcall.store.permission import Permission

WITH_PICTURE: Final = frozenset({Permission.SOUND, Permission.PICTURE})


def set_permissions(
    env: Env, home: Home, name: str, what: Sequence[Permission], *, allowed: bool, json: bool
) -> ExitCode:
    """`p2pcall contacts allow`, `p2pcall contacts forbid`."""
    wanted = set(what)
    if (Permission.PICTURE if allowed else Permission.SOUND) in wanted:
        wanted |= WITH_PICTURE
    contact = Contacts(home).permit(name, **{one.field: allowed for one in Permission if one in wanted})
    if contact is None:
        raise no_such_contact(name)
    if json:
        record = {"v": 1, "name": contact.name, "allowed": contact.allowed}
        env.stdout.write(jsonlib.dumps(record, separators=(",", ":")) + "\n")
        return ExitCode.OK
    for line in _said(contact):
        say(env, line)
    return ExitCode.OK


def _said(contact: Contact) -> list[str]:
    """What this contact may do now, a sentence a line."""
    may = contact.allowed
    if Permission.RING not in may:
        line = f"{contact.name} may not ring, and hears what a stranger hears whom nobody answers"
        rest = ", ".join(one for one in may)
        return [line, f"{rest}: without effect until they may ring"] if rest else [line]
    unasked = "asked about"
    if Permission.SOUND in may:
        sound = "sound and picture" if Permission.PICTURE in may else "sound"
        unasked = f"answered without asking, with {sound}"
    sees = "may" if Permission.PRESENCE in may else "may not"
    lines = [f"{contact.name} may ring, is {unasked}, and {sees} see you announced to contacts"]
    if contact.blocked:
        lines.append(f"but is blocked: p2pcall contacts unblock {as_typed(contact.name)}")
    elif Permission.SOUND in may and not contact.verified:
        typed = as_typed(contact.name)
        lines.append(f"you have not verified that this key is theirs: p2pcall contacts verify {typed}")
    return lines
