"""The commands of `p2pcall contacts` about strangers who rang, and about files of contacts."""

from typing import Annotated

import typer

from p2pcall.cli import options as opt
from p2pcall.cli.app_own import given_home

Rang = Annotated[
    str, typer.Argument(metavar="REQUEST", help="The number in the list, or a whole fingerprint.")
]
ExportFile = Annotated[str, typer.Argument(metavar="FILE", help="The file of contacts.")]


def with_exchange(contacts: typer.Typer) -> typer.Typer:
    """`contacts` with these commands, too."""
    contacts.command("requests")(contacts_requests)
    contacts.command("accept")(contacts_accept)
    contacts.command("decline")(contacts_decline)
    contacts.command("export")(contacts_export)
    contacts.command("import")(contacts_import)
    return contacts


def contacts_requests(
    ctx: typer.Context,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Strangers who rang and were not answered, kept for a week."""
    from p2pcall.cli.requests import list_requests

    return int(list_requests(ctx.obj, given_home(ctx), json=json))


def contacts_accept(
    ctx: typer.Context,
    who: Rang,
    kept_as: opt.KeptAs = None,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Make a contact of a stranger who rang."""
    from p2pcall.cli.requests import accept_request

    return int(accept_request(ctx.obj, given_home(ctx), who, kept_as, json=json))


def contacts_decline(
    ctx: typer.Context,
    who: Annotated[
        str | None,
        typer.Argument(metavar="REQUEST", help="The number in the list, or a whole fingerprint."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are kept.")] = False,
    block: Annotated[bool, typer.Option("--block", help="And block the key.")] = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Forget that a stranger rang."""
    from p2pcall.cli.requests import decline_requests

    return int(decline_requests(ctx.obj, given_home(ctx), who, everything=everything, block=block, json=json))


def contacts_export(
    ctx: typer.Context,
    file: ExportFile,
    new_passphrase_file: opt.NewPassphraseFile = None,
    force: opt.Force = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Write your contacts into one sealed file."""
    from p2pcall.cli.contacts_files import write_contacts

    done = write_contacts(
        ctx.obj, given_home(ctx), file, new_file=new_passphrase_file, force=force, json=json
    )
    return int(done)


def contacts_import(
    ctx: typer.Context,
    file: ExportFile,
    file_passphrase: Annotated[
        str | None,
        typer.Option(
            "--import-passphrase-file",
            metavar="FILE",
            show_default=False,
            help="Its first line opens the file of contacts.",
        ),
    ] = None,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Add the contacts of a file, and replace nothing."""
    from p2pcall.cli.contacts_files import take_contacts

    return int(take_contacts(ctx.obj, given_home(ctx), file, passphrase_file=file_passphrase, json=json))
