"""The commands of `p2pcall privacy`: options in, one call, an exit code out."""

from typing import Annotated

import typer

from p2pcall.cli import options as opt
from p2pcall.cli.app_own import given_home, located_home
from p2pcall.cli.privacy_tools import privacy_bundle, privacy_settings

privacy = typer.Typer(
    help="What is kept about you and others, and your rights over it.", invoke_without_command=True
)


@privacy.callback()
def privacy_overview(
    ctx: typer.Context,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """What is kept about you and others, and your rights over it."""
    if ctx.invoked_subcommand is not None:
        return 0
    from p2pcall.cli.privacy import show_kept

    return int(show_kept(ctx.obj, given_home(ctx), json=json))


@privacy.command("export")
def privacy_export(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A new file; without one, or with -, stdout.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the document.")] = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """All that is kept, but for keys and secrets, as one JSON document."""
    from p2pcall.cli import privacy as commands

    if schema:
        return int(commands.print_schema(ctx.obj, file))
    return int(commands.export_all(ctx.obj, given_home(ctx), file))


@privacy.command("erase")
def privacy_erase(
    ctx: typer.Context,
    contact: Annotated[
        str | None,
        typer.Option(
            "--contact",
            metavar="WHO",
            show_default=False,
            help="What is kept of this person: a contact's name, or a whole fingerprint.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Your key and everything else.")] = False,
    yes: opt.Yes = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Erase a person, or everything, for good; a passphrase is needed for the first alone."""
    from p2pcall.cli.privacy import erase_kept

    done = erase_kept(ctx.obj, located_home(ctx), contact, everything=everything, yes=yes, json=json)
    return int(done)


privacy.command("settings")(privacy_settings)
privacy.command("bundle")(privacy_bundle)
