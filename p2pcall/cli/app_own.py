"""The commands of `p2pcall id`: options in, one function of `own_key`, an exit code out."""

from typing import TYPE_CHECKING, Annotated

import typer

from p2pcall.cli import options as opt

if TYPE_CHECKING:
    from p2pcall.store.home import Home

Abandon = Annotated[
    bool,
    typer.Option("--abandon", help="Give up contacts who were not told of the last change: they pair again."),
]
Keyring = Annotated[bool, typer.Option("--keyring", help="Let the keyring of this machine open the key.")]
Remove = Annotated[bool, typer.Option("--remove", help="Keep the key plain, without a passphrase.")]
BackupFile = Annotated[str, typer.Argument(metavar="FILE", help="The backup.")]

id_commands = typer.Typer(
    help="Who you are: your name, your key and its fingerprint.", invoke_without_command=True
)


def located_home(ctx: typer.Context) -> "Home":
    """The home that is meant, with the ways to open a sealed identity that are given to this command."""
    from p2pcall.cli.passphrase import home_with_opener
    from p2pcall.store.home import Home

    home = Home.locate(ctx.obj.environ, ctx.params.get("home"))
    return home_with_opener(ctx.obj, home, ctx.params.get("passphrase_file"))


def given_home(ctx: typer.Context, *, makes: bool = False) -> "Home":
    """`located_home`, which this command uses until it ends: nobody erases it meanwhile.

    `makes`: it is made if it is not there, because the command runs for long and keeps things.
    """
    from p2pcall.store.home import ensure_directory
    from p2pcall.store.home_use import using

    home = located_home(ctx)
    if makes:
        ensure_directory(home.data)
    ctx.with_resource(using(home))
    return home


@id_commands.callback()
def identity(
    ctx: typer.Context,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Who you are: your name, your key and its fingerprint."""
    if ctx.invoked_subcommand is not None:
        return 0
    from p2pcall.cli.own_key import show_identity

    return int(show_identity(ctx.obj, given_home(ctx), json=json))


@id_commands.command("passphrase")
def id_passphrase(
    ctx: typer.Context,
    new_passphrase_file: opt.NewPassphraseFile = None,
    keyring: Keyring = False,
    remove: Remove = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Seal your key under a passphrase, change it, or take it away."""
    from p2pcall.cli.own_key import change_passphrase

    done = change_passphrase(
        ctx.obj, given_home(ctx), new_file=new_passphrase_file, keyring=keyring, remove=remove, json=json
    )
    return int(done)


@id_commands.command("backup")
def id_backup(
    ctx: typer.Context,
    file: BackupFile,
    new_passphrase_file: opt.NewPassphraseFile = None,
    force: opt.Force = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Write your key and your contacts into one sealed file."""
    from p2pcall.cli.own_key import back_up_identity

    done = back_up_identity(
        ctx.obj, given_home(ctx), file, new_file=new_passphrase_file, force=force, json=json
    )
    return int(done)


@id_commands.command("restore")
def id_restore(
    ctx: typer.Context,
    file: BackupFile,
    force: opt.Force = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Take your key and your contacts from a backup."""
    from p2pcall.cli.own_key import restore_identity

    done = restore_identity(
        ctx.obj, given_home(ctx), file, passphrase_file=passphrase_file, force=force, json=json
    )
    return int(done)


@id_commands.command("rotate")
def id_rotate(
    ctx: typer.Context,
    abandon: Abandon = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Make a new key, and tell each contact in the next call."""
    from p2pcall.cli.own_key import rotate_identity

    return int(rotate_identity(ctx.obj, given_home(ctx), abandon=abandon, json=json))
