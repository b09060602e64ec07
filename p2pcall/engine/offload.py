"""Blocking work (a file's lock, a disk, a driver, a thread) outside the loop, because the loop carries the sound."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from p2pcall.errors import P2PCallError

_T = TypeVar("_T")
THREAD_NAME: Final = "p2pcall-offload"
"""Name of the threads."""


async def offload(work: Callable[[], _T]) -> _T:
    """Run `work` in its own thread and return its result. If the caller is cancelled, the thread continues alone."""
    done: Future[_T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except P2PCallError as error:
            done.set_exception(error)
        except (
            BaseException
        ) as error:  # a bug ends the command (`Interrupts`); the caller must not wait for ever
            done.set_exception(error)
            raise

    done.set_running_or_notify_cancel()
    threading.Thread(target=run, name=THREAD_NAME, daemon=True).start()
    return await asyncio.wrap_future(done)


async def to_the_end(work: Callable[[], _T]) -> _T:
    """As `offload`, but always waits for the end; a cancellation meanwhile is raised afterwards."""
    task = asyncio.ensure_future(offload(work))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    return task.result()


class BackgroundTasks:
    """Coroutines that run in the background; the loop's exception handler gets their errors, as for callbacks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Start it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def done(self) -> None:
        """Wait until all started coroutines are done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()
