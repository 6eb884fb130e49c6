"""Runs `dispatcher top` at a terminal: it looks at the run, draws, and does what keys ask for."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from threading import Thread
from types import FrameType
from typing import TypeVar

from rich.console import Console, Group
from rich.live import Live

from dispatcher.app.control.client import ControlError, execute, send_command
from dispatcher.app.control.watcher import RunWatcher, Sight
from dispatcher.app.store import operator_store
from dispatcher.cli import formatting
from dispatcher.cli.top.keys import read_keys, single_keys
from dispatcher.cli.top.screen import Action, Look, Quit, Screen, SetPaused
from dispatcher.domain.errors import DispatcherError
from dispatcher.ports.orders import PauseOrder, ResumeOrder
from dispatcher.ports.questions import HistoryOf
from dispatcher.settings import LedgerPlace

ORDER_SECONDS = 30.0
"""How long the run may take for a drain's answer."""
SLOW_SECONDS = 1.0
"""After this time without an answer the figures are marked as old; a run needs milliseconds."""
LATE = "the answer is late"
LATE_AT_FIRST = "neither the run nor the server of its ledger has answered yet"

T = TypeVar("T")
Wake = Callable[[], None]
Outcome = Callable[[Screen], None]
"""Shows the result of an action on the screen."""


class TopSession:
    """One session at a terminal. Looks and actions run in threads, so that keys always work."""

    def __init__(
        self, console: Console, terminal: int, watcher: RunWatcher, place: LedgerPlace,
        interval: float,
    ) -> None:  # fmt: skip
        self._console, self._terminal = console, terminal
        self._watcher, self._place, self._interval = watcher, place, interval
        self._screen = Screen(ascii_only=console.options.ascii_only)
        self._looking: Future[Sight] | None = None
        self._acting: Future[Outcome] | None = None
        self._looking_since = 0.0
        self._next_look = 0.0
        self._suspended = False

    def run(self) -> None:
        """Show the run until a key leaves it; without one, wait for it.

        Raises:
            DispatcherError: at the first look: the run has no such campaign, or takes no commands.

        """
        with _wake_up() as (woken, wake):
            while True:
                if not self._show(woken, wake):
                    return
                os.kill(os.getpid(), signal.SIGSTOP)  # Ctrl-Z; `fg` goes on here
                self._suspended = False

    def _show(self, woken: int, wake: Wake) -> bool:
        """Show the run until it is left, or suspended: then return True."""
        with ExitStack() as stack:
            stack.enter_context(single_keys(self._terminal))
            stack.enter_context(_signals(self._suspend))
            live = Live(console=self._console, screen=True, auto_refresh=False)
            stack.enter_context(live)
            while not self._suspended:
                self._take_results()
                self._look(wake)
                self._draw(live)
                if not self._wait(woken, wake):
                    return False
        return True

    def _suspend(self) -> None:
        self._suspended = True

    def _draw(self, live: Live) -> None:
        width, height = self._console.size
        live.update(Group(*self._screen.frame(width, height, time.time())), refresh=True)

    def _wait(self, woken: int, wake: Wake) -> bool:
        """Wait for a key, a result, or the time of the next look; return False to leave."""
        if self._looking is None:
            seconds = max(0.0, self._next_look - time.monotonic())
        else:  # while a look takes long, the screen shows since when there was no answer
            seconds = min(self._interval, SLOW_SECONDS)
        ready, _, _ = select.select([self._terminal, woken], [], [], seconds)
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 4096)
        if self._terminal not in ready:
            return True
        typed = read_keys(self._terminal)
        if typed is None:
            return False
        for key in typed:
            asks_already = self._screen.asks
            action = self._screen.press(key, time.time())
            if isinstance(action, Quit):
                return False
            if action is not None:
                self._act(action, wake)
            if self._screen.asks and not asks_already:
                break  # what was typed with the key is no answer to its question
        return True

    def _look(self, wake: Wake) -> None:
        if self._looking is None and time.monotonic() >= self._next_look:
            look = partial(self._watcher.look, first=self._screen.sight.snapshot is None)
            self._looking, self._looking_since = _in_thread(look, wake), time.time()

    def _act(self, action: Action, wake: Wake) -> None:
        if self._acting is not None:
            self._screen.say("The last command is not answered yet: try again.", time.time())
            return
        self._screen.say("...", time.time())
        self._acting = _in_thread(partial(self._do, action), wake)

    def _take_results(self) -> None:
        if self._looking is not None and self._looking.done():
            self._screen.see(self._looking.result())
            self._looking = None
            self._next_look = time.monotonic() + self._interval
        elif self._looking is not None and time.time() - self._looking_since > SLOW_SECONDS:
            sight = self._screen.sight
            if not sight.trouble:
                late = LATE_AT_FIRST if sight.snapshot is None else LATE
                self._screen.see(replace(sight, trouble=late, lost_at=self._looking_since))
        if self._acting is not None and self._acting.done():
            self._acting.result()(self._screen)
            self._acting = None
            self._next_look = 0.0

    def _do(self, action: Action) -> Outcome:
        """Do what a key asks for, and return how its result is shown."""
        try:
            match action:
                case Look(name):
                    question = HistoryOf(name, self._watcher.campaign)
                    contacts = operator_store(self._place).look(question)
                    return lambda screen: _show_contacts(screen, contacts)
                case SetPaused(names, paused):
                    words = "".join(self._set_paused(name, paused=paused) for name in names)
                case _:
                    words = self._drain()
        except DispatcherError as error:
            words = str(error)
        return lambda screen: screen.say(words, time.time())

    def _set_paused(self, name: str, *, paused: bool) -> str:
        order = PauseOrder(name) if paused else ResumeOrder(name)
        done = execute(operator_store(self._place), order)
        return f"Campaign {name} is {'paused' if paused else 'resumed'}, {done.by}. "

    def _drain(self) -> str:
        path = self._watcher.path
        if not path:
            raise ControlError("no run answers: there is nothing to drain")
        answer = send_command(path, "drain", {}, ORDER_SECONDS)
        in_flight = formatting.contacts(int(answer.get("in_flight", 0)))
        return f"The run drains: {in_flight} in flight are finished first."


def _show_contacts(screen: Screen, contacts: object) -> None:
    screen.say("", time.time())
    screen.show_contacts(contacts)  # type: ignore[arg-type]  # what `look` returned


def _in_thread(work: Callable[[], T], wake: Wake) -> "Future[T]":
    """Do it in a thread that the end of the session does not wait for."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is taken
            future.set_exception(error)
        wake()

    Thread(target=run, daemon=True).start()
    return future


@contextmanager
def _wake_up() -> Iterator[tuple[int, Wake]]:
    """Yield a file that can be read after the function was called, or a signal came."""
    woken, waker = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)

    def wake() -> None:
        with suppress(OSError):  # it is full, or the session has ended
            os.write(waker, b"\0")

    before = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    try:
        yield woken, wake
    finally:
        signal.set_wakeup_fd(before)
        os.close(waker)
        os.close(woken)


@contextmanager
def _signals(suspend: Callable[[], None]) -> Iterator[None]:
    """Draw again in a new size, suspend at Ctrl-Z, and end at SIGTERM with a sound terminal."""

    def terminate(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handlers = {
        signal.SIGWINCH: lambda *_: None,  # it ends the wait, and each drawing reads the size
        signal.SIGTSTP: lambda *_: suspend(),
        signal.SIGTERM: terminate,
        signal.SIGHUP: terminate,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
