"""The player of `make diagnose`, by the two worlds that end at once."""

from dataclasses import replace

import pytest

from tests.diagnose.matrix import judge
from tests.diagnose.monitor import PHASES, load
from tests.diagnose.run import MONITORS, WORLDS
from tests.diagnose.stage import play


@pytest.mark.parametrize(("name", "code"), [("wrong_secret_at_start", 5), ("source_missing", 2)])
def test_a_start_that_fails_is_named_by_its_exit_alone(tmp_path, name, code):
    """It sends its exit code, an event, and no row of zeros; one monitor fires, at every phase."""
    world = replace(WORLDS[name], seconds=2.0, contacts=5)
    captured = play(world, tmp_path / name)
    assert [number for _, number in captured.exits] == [code]
    row = judge(world, captured, load(MONITORS))
    assert row.mistakes == ()
    assert [cell.monitor.key for cell in row.cells] == [world.monitor]
    assert row.own.phases == len(PHASES)
    names = {line.split(":")[0] for _, line in captured.lines if not line.startswith("_e{")}
    assert names == {"dispatcher.run.exits"}
