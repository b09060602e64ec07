"""The commands of `p2pcall contacts`: options in, one call, an exit code out."""

from typing import Annotated

import typer

from p2pcall.cli import options as opt
from p2pcall.cli.app_own import given_home
from p2pcall.cli.values import one_of
from p2pcall.store.permission import Permission

Permissions = Annotated[
    list[Permission],
    typer.Argument(
        metavar="WHAT...",
        parser=one_of("WHAT", Permission),
        help="ring, sound, picture, presence: one or more.",
    ),
]

contacts = typer.Typer(help="The people you know, and the keys that are theirs.")


@contacts.command("list")
def contacts_list(
    ctx: typer.Context,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Everybody whose key is pinned."""
    from p2pcall.cli.records import list_contacts

    return int(list_contacts(ctx.obj, given_home(ctx), json=json))


@contacts.command("show")
def contacts_show(
    ctx: typer.Context,
    name: opt.ContactName,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """One contact, and the safety number to compare elsewhere."""
    from p2pcall.cli.records import show_contact

    return int(show_contact(ctx.obj, given_home(ctx), name, json=json))


@contacts.command("add")
def contacts_add(
    ctx: typer.Context,
    name: opt.ContactName,
    uri: Annotated[str, typer.Argument(metavar="URI", help="What `p2pcall id` shows at their side.")],
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Keep a key that did not come from a call."""
    from p2pcall.cli.records import add_contact

    return int(add_contact(ctx.obj, given_home(ctx), name, uri))


@contacts.command("verify")
def contacts_verify(
    ctx: typer.Context,
    name: opt.ContactName,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Compare the safety number with the other side's."""
    from p2pcall.cli.records import verify_contact

    return int(verify_contact(ctx.obj, given_home(ctx), name))


@contacts.command("rename")
def contacts_rename(
    ctx: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The contact's name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name from now on.")],
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Give a contact another name; the key stays."""
    from p2pcall.cli.records import rename_contact

    return int(rename_contact(ctx.obj, given_home(ctx), old, new))


@contacts.command("remove")
def contacts_remove(
    ctx: typer.Context,
    name: opt.ContactName,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Forget a contact and the key; the next call pairs again."""
    from p2pcall.cli.records import remove_contact

    return int(remove_contact(ctx.obj, given_home(ctx), name))


@contacts.command("block")
def contacts_block(
    ctx: typer.Context, who: opt.Blocked, passphrase_file: opt.PassphraseFile = None, home: opt.HomeDir = None
) -> int:
    """Stop somebody from ringing here."""
    from p2pcall.cli.records import block

    return int(block(ctx.obj, given_home(ctx), who))


@contacts.command("unblock")
def contacts_unblock(
    ctx: typer.Context, who: opt.Blocked, passphrase_file: opt.PassphraseFile = None, home: opt.HomeDir = None
) -> int:
    """Let somebody ring here again."""
    from p2pcall.cli.records import unblock

    return int(unblock(ctx.obj, given_home(ctx), who))


@contacts.command("allow")
def contacts_allow(
    ctx: typer.Context,
    name: opt.ContactName,
    what: Permissions,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Let a contact ring, be answered without asking, or see you."""
    from p2pcall.cli.permissions import set_permissions

    return int(set_permissions(ctx.obj, given_home(ctx), name, what, allowed=True, json=json))


@contacts.command("forbid")
def contacts_forbid(
    ctx: typer.Context,
    name: opt.ContactName,
    what: Permissions,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Take back what a contact is allowed, at once."""
    from p2pcall.cli.permissions import set_permissions

    return int(set_permissions(ctx.obj, given_home(ctx), name, what, allowed=False, json=json))


@contacts.command("require-code")
def contacts_require_code(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The contact's name.")] = None,
    unasked: Annotated[
        bool, typer.Option("--unasked", help="Of whoever is answered without asking, instead of NAME.")
    ] = False,
    new: Annotated[bool, typer.Option("--new", help="Replace the secret that there is.")] = False,
    unlock: Annotated[bool, typer.Option("--unlock", help="Forget the wrong codes of NAME.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Want no code any more.")] = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Want a code of an authenticator app before it rings."""
    from p2pcall.cli import factors

    changes = factors.chosen(new=new, unlock=unlock, off=off)
    return int(
        factors.require_code(ctx.obj, given_home(ctx), name, unasked=unasked, change=changes, json=json)
    )


@contacts.command("safeword")
def contacts_safeword(
    ctx: typer.Context,
    name: opt.ContactName,
    word_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where the word is; else it is asked for.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Keep no word.")] = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Set the word that both of you know; k compares it in a call."""
    from p2pcall.cli import factors

    return int(factors.set_safe_word(ctx.obj, given_home(ctx), name, word_file, off=off))
