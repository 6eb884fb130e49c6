"""The Python API without a platform: what an import costs, loops, interrupts, bars and logs."""

import ast
import asyncio
import inspect
import os
import signal
import sys
import threading
import time
import types
from pathlib import Path

import pytest
import structlog

import dispatcher
from dispatcher import AsyncDispatcher, Dispatcher, DispatchInterrupted, Ending, api
from dispatcher.api import progress
from dispatcher.api.logs import LogText, own_logs
from dispatcher.api.own_loop import run_to_end
from dispatcher.api.results import DispatchResult
from dispatcher.api.tables import outcome_table, rejected_table
from dispatcher.domain.errors import DispatcherError
from tests.unit.test_cli import imported

DOCUMENT = Path(__file__).parents[2] / "docs" / "python.md"


def test_an_import_of_the_package_imports_nothing_else():
    """The names of the API are imported at their first use."""
    bare, found = imported("-c", "pass"), imported("-c", "import dispatcher; dir(dispatcher)")
    assert found - bare == {"dispatcher"}


def test_no_module_imports_a_library_of_the_extra():
    """What needs pyarrow or IPython imports it when it needs it, not with its module."""
    tops = {
        (path.name, name.partition(".")[0])
        for path in Path(dispatcher.__file__).parent.rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        for name in imports_of(node)
    }
    assert ("own_loop.py", "uvloop") in tops
    extra = {"pyarrow", "pandas", "polars", "numpy", "IPython"}
    assert [pair for pair in tops if pair[1] in extra] == []


def imports_of(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_the_names_of_the_api_are_those_of_the_package():
    """Also for `dir`, and a wrong name is an AttributeError with it."""
    assert set(dispatcher.API) == set(api.__all__)
    assert set(dispatcher.API) < set(dir(dispatcher))
    assert [getattr(dispatcher, name) for name in dispatcher.API] == [
        getattr(api, name) for name in dispatcher.API
    ]
    with pytest.raises(AttributeError, match="Dispatchr"):
        _ = dispatcher.Dispatchr


def test_both_forms_have_the_same_methods_with_types_and_words():
    """The document has each method, parameter and field of a result."""
    text = DOCUMENT.read_text("utf-8")
    for name, method in inspect.getmembers(Dispatcher, inspect.isfunction):
        twin = inspect.signature(getattr(AsyncDispatcher, name))
        mine = inspect.signature(method)
        assert mine.parameters == twin.parameters
        assert mine.return_annotation is not inspect.Signature.empty
        if name.startswith("__"):
            continue
        assert method.__doc__
        assert f"`{name}(" in text
        parameters = list(mine.parameters)[1:]
        assert [one for one in parameters if f"`{one}`" not in text] == []
    for parameter in list(inspect.signature(Dispatcher).parameters):
        assert f"`{parameter}`" in text
    for result in (api.PlanResult, api.DispatchResult, api.StatusResult, api.VerifyResult):
        assert [one for one in result.__dataclass_fields__ if f"`{one}`" not in text] == []
    assert [ending for ending in Ending if f"`{ending}`" not in text] == []


async def test_a_coroutine_runs_to_its_end_where_a_loop_runs():
    """In another thread and loop; an error is that of the coroutine."""
    here = asyncio.get_running_loop(), threading.get_ident()

    async def other():
        await asyncio.sleep(0)
        return asyncio.get_running_loop() is not here[0], threading.get_ident() != here[1]

    async def fails():
        raise DispatcherError("in words")

    assert run_to_end(other) == (True, True)
    with pytest.raises(DispatcherError, match="in words"):
        run_to_end(fails)


def interrupts(number):
    """Interrupt the main thread, as Ctrl-C does; each when the last one has arrived."""

    def interrupt():
        for _ in range(number):
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()


def test_an_interrupt_cancels_and_waits_for_the_end():
    """What the coroutine does after it is done before KeyboardInterrupt goes on."""
    ended = []

    async def drains():
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.02)
            ended.append(True)

    interrupts(1)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(drains)
    assert ended == [True]


def test_a_third_interrupt_leaves_a_coroutine_that_does_not_end():
    """Two are passed on."""
    release, cancelled = threading.Event(), []

    async def stays():
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                cancelled.append(True)

    interrupts(3)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(stays)
    release.set()
    assert cancelled == [True, True]


class Display:
    """What IPython shows."""

    def __init__(self):
        self.shown = []

    def __call__(self, html, *, display_id):
        self.shown.append(html)
        return self

    def update(self, html):
        self.shown.append(html)


@pytest.fixture
def notebook(monkeypatch):
    """A kernel of Jupyter, as far as it is looked at."""
    display, module = Display(), types.ModuleType("IPython")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    module.display = types.ModuleType("IPython.display")
    module.display.HTML, module.display.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    return display


def test_bars_in_a_notebook_are_html_that_changes(notebook, monkeypatch):
    """Seldom, but the last state is shown; names are escaped."""
    with progress.open_bars(None, "<b>rows") as bars:
        for done in range(100):
            bars.show((done, None if done < 3 else 100))
    assert len(notebook.shown) == 2
    assert "&lt;b&gt;rows <progress></progress> 0" in notebook.shown[0]
    assert 'value="99" max="100"></progress> 99 of 100' in notebook.shown[1]
    monkeypatch.setattr(progress, "SHOW_SECONDS", 0.0)
    with progress.open_bars(None, "rows") as bars:
        bars.show((0, 0))
    assert 'value="1" max="1"></progress> 0 of 0' in notebook.shown[-1]


def test_bars_can_be_turned_off(notebook, capsys):
    """And are off by themselves where neither a notebook nor a terminal is."""
    with progress.open_bars(False, "rows") as bars:
        bars.show((1, 2))
    assert notebook.shown == []
    del sys.modules["IPython"]
    with progress.open_bars(None, "rows") as bars:
        bars.show((1, 2))
    assert capsys.readouterr().err == ""
    with progress.open_bars(True, "rows") as bars:
        bars.show((1, 2))
    assert "rows" in capsys.readouterr().err


def test_logs_of_a_program_are_its_own_again():
    """Also after several dispatches at a time."""
    structlog.configure(processors=[])
    try:
        with own_logs():
            structlog.configure(processors=[lambda *_: ""])
            with own_logs():
                structlog.configure(processors=[])
            assert structlog.get_config()["processors"] == []
        assert structlog.get_config()["processors"] == []
    finally:
        structlog.reset_defaults()
    with own_logs():
        structlog.configure(processors=[])
    assert not structlog.is_configured()


def test_logs_go_to_standard_error_as_it_is_then(capsys):
    """A notebook replaces it with an object that has no bytes."""
    assert LogText().write("Zoë\n".encode()) == 5
    assert (capsys.readouterr().err, LogText().isatty()) == ("Zoë\n", False)


def test_a_result_shows_no_row_and_no_markup():
    """The name of a campaign may be anything that a configuration permits; it is escaped."""
    empty = outcome_table((), {}, {})
    result = DispatchResult(
        "<script>", Ending.HALTED, 1, 2, 3, 4, 5, 6, ["scope"], 1.0, empty, rejected_table(())
    )
    assert "<script>: halted; the log says why. Correct it, and dispatch again (scope)" in repr(
        result
    )
    assert "<script>" not in result._repr_html_()
    assert "pyarrow" not in repr(result)
    interrupt = DispatchInterrupted(result)
    assert isinstance(interrupt, KeyboardInterrupt)
    assert str(interrupt) == result.sentence
