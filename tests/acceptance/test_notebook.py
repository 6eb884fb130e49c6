"""docs/notebook.ipynb: its cells run against the sandbox, and show what is saved in it."""

import json
from collections import Counter
from pathlib import Path

from tests.support.notebook_runner import NOTEBOOK, run_cells


def test_the_notebook_runs_and_shows_what_is_saved(capfd):
    """Each cell has outputs of the saved kinds; by the sandbox's log nobody got two messages."""
    notebook, names = json.loads(NOTEBOOK.read_text("utf-8")), {}
    try:
        for cell, outputs in run_cells(notebook, names):
            assert kinds(outputs) == kinds(cell["outputs"]), "".join(cell["source"])
    finally:
        names["sandbox"].kill()
        names["sandbox"].wait()
        names["sandbox"].stdout.close()
    effects = map(json.loads, (names["folder"] / "effects.jsonl").read_text().splitlines())
    messages = Counter(effect["conversationId"] for effect in effects)
    assert set(messages.values()) == {1}
    assert messages.keys() == set(names["lineage"]["conversation_id"])
    assert len(messages) == names["verified"].checked == 160
    assert names["result"].done
    assert capfd.readouterr().err == ""


def kinds(outputs):
    return [[output["output_type"], *output.get("data", ())] for output in outputs]


def test_the_saved_notebook_has_nothing_of_a_machine():
    """No path and no address; every cell was executed, and the plots are there."""
    text = NOTEBOOK.read_text("utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    shown = [output for cell in cells for output in cell["outputs"]]
    pictures = [output["data"].pop("image/png", "") for output in shown if "data" in output]
    assert len(list(filter(None, pictures))) == 3
    machine = ["/tmp", "/root", "/home", str(Path.home()), "127.0.0.1", "Error"]
    assert [word for word in machine if word in json.dumps(shown)] == []
