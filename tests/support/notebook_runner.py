"""Executes a notebook in this process, and saves what a kernel of Jupyter would have shown.

``python -m tests.support.notebook_runner`` writes the outputs of docs/notebook.ipynb again.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
Output = dict[str, Any]


def run_cells(
    notebook: dict[str, Any], names: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], list[Output]]]:
    """Execute the cells of code with these names; yield each cell with its outputs."""
    import matplotlib as mpl  # noqa: PLC0415 - few tests need it, and it takes long

    mpl.use("Agg")
    names["__name__"] = "__main__"
    with _environment(), warnings.catch_warnings():
        number = 0
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                number += 1
                yield cell, _execute("".join(cell["source"]), names, number)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Give the notebook an environment without anything of the dispatcher's; then put it back."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("DD_", "DISPATCHER_")):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _execute(source: str, names: dict[str, Any], number: int) -> list[Output]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    shown, outputs = io.StringIO(), []
    with contextlib.redirect_stdout(shown):
        exec(compile(tree, f"cell {number}", "exec"), names)
        value = None
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    if text := shown.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(text)})
    if value is not None:
        outputs.append(
            {
                "output_type": "execute_result",
                "execution_count": number,
                "metadata": {},
                "data": _data(value),
            }
        )
    return [*outputs, *_figures()]


def _data(value: object) -> dict[str, Any]:
    data = {"text/plain": _lines(repr(value))}
    if (as_html := getattr(value, "_repr_html_", None)) is not None:
        data["text/html"] = _lines(as_html())
    return data


def _figures() -> Iterator[Output]:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    for number in plt.get_fignums():
        figure, picture = plt.figure(number), io.BytesIO()
        figure.savefig(picture, format="png", bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)
        yield {
            "output_type": "display_data",
            "metadata": {},
            "data": {
                "image/png": base64.b64encode(picture.getvalue()).decode(),
                "text/plain": ["<Figure>"],
            },
        }


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def save() -> None:
    """Execute the notebook, and save it with its outputs."""
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    for number, (cell, outputs) in enumerate(run_cells(notebook, {}), 1):
        cell["outputs"], cell["execution_count"] = outputs, number
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    save()
    sys.stdout.write(f"{NOTEBOOK} is saved with its outputs\n")
