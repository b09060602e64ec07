"""The command line. `main` is the only place where errors become output and an exit status."""

import gc
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout, suppress
from copy import copy
from typing import Final

from p2pcall.cli.process import leave_nothing
from p2pcall.cli.stdout import StdoutClosed, checked, say
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError

DEBUG: Final = "P2PCALL_DEBUG"
"""Environment variable: if set, an internal error shows its traceback, which may contain details of a call."""


def main(argv: Sequence[str], env: Env) -> int:
    """Run one command; `argv` without the program's name. Never raises."""
    stdout = checked(env.stdout)
    parser_writes = redirect_stdout(stdout) if env.stdout is sys.stdout else nullcontext()
    env = copy(env)
    env.stdout = stdout
    try:
        with parser_writes:
            status = _run(argv, env)
        env.stdout.flush()
        return status
    except StdoutClosed:
        return int(ExitCode.OK)
    except P2PCallError as error:
        return _tell(error, argv, env)
    except KeyboardInterrupt:
        return _tell(P2PCallError("interrupted", "interrupted", ExitCode.INTERRUPTED), argv, env)
    except Exception as error:  # the outermost frame: a bug, reported without a traceback
        if env.environ.get(DEBUG):
            raise
        return _tell(_bug(error), argv, env)


def _run(argv: Sequence[str], env: Env) -> int:
    import typer

    from p2pcall.cli.app import app_for
    from p2pcall.cli.values import mistyped

    try:
        result = app_for(argv)(args=list(argv), prog_name="p2pcall", standalone_mode=False, obj=env)
    except typer.TyperException as error:
        raise mistyped(error) from error
    except typer.Abort as error:
        raise P2PCallError("interrupted", "interrupted", ExitCode.INTERRUPTED) from error
    return result if isinstance(result, int) else int(ExitCode.OK)


def _command(argv: Sequence[str]) -> str:
    """The command that `argv` names, as far as it does."""
    from p2pcall.cli.app import app, called

    words, group = ["p2pcall"], app
    for word in argv[:2]:
        names = {called(one) for one in group.registered_commands}
        below = {str(one.name): one.typer_instance for one in group.registered_groups}
        if word not in names | below.keys():
            break
        words.append(word)
        inner = below.get(word)
        if inner is None:
            break
        group = inner
    return " ".join(words)


def _tell(error: P2PCallError, argv: Sequence[str], env: Env) -> int:
    from p2pcall.cli import event_text
    from p2pcall.events import Error, to_json

    hint = error.hint
    if hint is None and error.exit is ExitCode.USAGE:
        hint = f"{_command(argv)} --help"
    event = Error(error.slug, error.text, hint, int(error.exit))
    say(env, event_text.event_line(event) or "")
    with suppress(StdoutClosed, P2PCallError, ValueError):
        if "--json" in argv:
            env.stdout.write(to_json(event, env.clock.time()) + "\n")
        env.stdout.flush()
    return int(error.exit)


def _bug(error: Exception) -> P2PCallError:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
    return P2PCallError(
        "bug",
        f"internal error: {type(error).__name__} at {where}",
        ExitCode.BUG,
        f"please report it, with what `p2pcall privacy bundle` shows; {DEBUG}=1 shows more",
    )


def run() -> None:
    """Entry point of the `p2pcall` command.

    Garbage collection is off at the start: loading libraries makes no garbage, and the search takes a tenth of the
    time. Long-running commands turn it on when everything is loaded (`engine.preparing`, `lan`).
    """
    leave_nothing()
    gc.disable()
    sys.exit(main(sys.argv[1:], Env.system()))
