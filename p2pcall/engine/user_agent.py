"""What `listen` and `dial` share: our identity and port, the contacts, and signals."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from p2pcall import events
from p2pcall.engine.call_history import CallHistory
from p2pcall.engine.consents import Consents
from p2pcall.engine.node import Node
from p2pcall.engine.offload import offload
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.reach import ReachPolicy
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.stored_settings import as_chosen
from p2pcall.engine.trust import TrustStore
from p2pcall.engine.ui import Ui
from p2pcall.engine.unanswered import UnansweredStrangers
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.udp import Driver
from p2pcall.proto.endpoint import StaticKey
from p2pcall.proto.handshake import kem
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity
from p2pcall.store.private_settings import kept_settings
from p2pcall.store.rotation import FormerKey, told
from p2pcall.store.vault import Vault

_T = TypeVar("_T")
END_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP go to the current handler (`take`); a second one ends the process at once.

    While files are being completed, the end is delayed (`put_off`).
    Signals that were ignored when the process began (`nohup`, a background job of a script) stay ignored.
    """

    def __init__(self) -> None:
        self.fired = asyncio.Event()
        self.signal: signal.Signals | None = None
        self.take: Callable[[str], None] | None = None
        """Called with "signal", "stdout-closed" or "failed"."""
        self.what: str | None = None
        """The last such word, for a handler that is set later."""
        self.crash: BaseException | None = None
        self.resized: Callable[[], None] | None = None
        self._putting_off = False
        self._second: signal.Signals | None = None
        """A second signal that came during `put_off`."""
        self._loop = asyncio.get_running_loop()
        self._thread_hook = threading.excepthook

    def install(self) -> None:
        """Catch the signals from now on, and uncaught errors in the loop or in a thread."""
        for number in END_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._loop.add_signal_handler(number, self._fire, number)
        self._loop.add_signal_handler(signal.SIGWINCH, self._resize)
        self._loop.set_exception_handler(lambda _, context: self.crashed(context.get("exception")))
        self._thread_hook, threading.excepthook = threading.excepthook, self._thread_crashed

    def remove(self) -> None:
        """Restore the default handlers."""
        threading.excepthook = self._thread_hook
        for number in (*END_SIGNALS, signal.SIGWINCH):
            self._loop.remove_signal_handler(number)

    def tell(self, take: Callable[[str], None]) -> None:
        """Set the handler; it is called at once for a signal that came before."""
        self.take = take
        if self.what is not None:
            take(self.what)

    def _fire(self, number: signal.Signals) -> None:
        if self.signal is None:
            self.signal = number
            self._tell("signal")
        elif self._putting_off:
            self._second = number
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    async def unless_fired(self, work: Awaitable[_T]) -> _T:
        """The result of `work`; P2PCallError `interrupted` (exit 130) when a signal comes first."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self.fired.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if self.crash is not None:
                raise self.crash
            if self.what == "stdout-closed":
                raise BrokenPipeError
            raise P2PCallError("interrupted", "interrupted", ExitCode.INTERRUPTED)
        finally:
            for waiting in (task, stop):
                waiting.cancel()

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Inside this context a second signal does not end the process; at its end it does."""
        self._putting_off = True
        try:
            yield
        finally:
            self._putting_off = False
            if self._second is not None:
                self._fire(self._second)

    def closed(self) -> None:
        """Nobody reads stdout any more: handled like a signal, but without a message."""
        self._tell("stdout-closed")

    def crashed(self, error: BaseException | None) -> None:
        """A callback raised, which is a bug: a running call ends with a goodbye, and the bug is reported."""
        self.crash = self.crash or error or RuntimeError("the event loop met an error")
        self._tell("failed")

    def _thread_crashed(self, died: threading.ExceptHookArgs) -> None:
        """Called in the thread that ends with this error."""
        self._loop.call_soon_threadsafe(self.crashed, died.exc_value)

    def _tell(self, what: str) -> None:
        self.what = what
        self.fired.set()
        if self.take is not None:
            self.take(what)

    def _resize(self) -> None:
        if self.resized is not None:
            self.resized()


class UserAgent:
    """This process's side of its calls."""

    def __init__(
        self,
        env: Env,
        settings: CallSettings,
        home: Home,
        identity: Identity,
        ui: Ui,
        *,
        any_port: bool,
        former: FormerKey | None = None,
    ) -> None:
        """`former`: our key before this one, as long as contacts have to be told."""
        self.env, self.settings, self.ui = env, settings, ui
        self._home = home
        self.any_port = any_port
        self.home, self.identity = home, identity
        self.vault = Vault(home, lambda: identity)
        self.history = CallHistory(self.vault, env.clock, ui.emit)
        self.consents: Consents = self.history
        """Where what people agree to in calls is kept."""
        self.contacts = Contacts(home, self.vault)
        self.trust = TrustStore(self.contacts, self.identity.public)
        self.unanswered = UnansweredStrangers(self.vault, self.trust, env, ui)
        self.present_static = StaticKey.from_private(identity.private)
        self.former_static = None if former is None else StaticKey.from_private(former.private)
        self._untold = set() if former is None else {*former.untold}
        self.node = Node(self.present_static, env.entropy, env.clock, self.former_static, self._untold)
        self.reach_policy = ReachPolicy(self.node.endpoint, self.trust, home, settings.reach, ui.emit)
        self.interrupts = Interrupts()

    def prepare(self) -> None:
        """Open the vault: what is too old in it goes, what the user has chosen counts. In a thread.

        P2PCallError if the vault cannot be used.
        """
        self.history.prepare()
        self.settings = as_chosen(self.settings, kept_settings(self.vault))

    def open(self) -> None:
        """Bind the port. If the default port is taken, a dialler uses another, because nobody needs to know it.

        Slow preparations for the first handshake are done now, so that nobody waits for them later.
        """
        kem.warm_up()
        settings = self.settings
        any_port = self.any_port and not settings.port_given
        self.node.attach(Driver.open(settings.bind, settings.port, fallback_any=any_port))

    def is_own(self, public: bytes) -> bool:
        """Whether this is a key of ours, the former one too."""
        return public in {key.public for key in (self.present_static, self.former_static) if key is not None}

    def is_untold(self, public: bytes) -> bool:
        """Whether this contact knows us by our former key, as far as we know."""
        return public in self._untold

    async def told(self, public: bytes) -> None:
        """This contact knows our present key; P2PCallError if that cannot be kept."""
        await offload(lambda: told(self._home, self.identity, public, self.env.entropy))
        self._untold.discard(public)
        self.node.endpoint.told(public)

    def let_in(self) -> None:
        """Set who may knock (`reach`). P2PCallError if the files cannot be read."""
        self.reach_policy.let_in()

    async def unless_interrupted(self, work: Awaitable[_T]) -> _T:
        """As `Interrupts.unless_fired`."""
        return await self.interrupts.unless_fired(work)

    async def pin(self, name: str, public: bytes, *, host: bool = False) -> None:
        """Keep the key of a person who was called or answered on purpose; a full disk does not end the call."""
        try:
            await offload(lambda: self.trust.pin(name, public, self.env.clock.time(), host=host))
        except P2PCallError as error:
            self.ui.emit(events.Warning(error.slug, f"the key of {name} could not be kept: {error.text}"))

    def tell_end(self, outcome: Outcome, dialled: str = "", key: str = "") -> None:
        """Emit the event `ended`, and log the call (`CallHistory.ended`)."""
        self.history.ended(outcome, dialled, key)
        self.ui.emit(
            events.Ended(
                outcome.call,
                outcome.reason,
                round(outcome.duration_s, 3),
                int(outcome.exit),
                outcome.figures,
                outcome.sas,
                outcome.name,
                outcome.fingerprint,
                outcome.by,
            )
        )
