"""The charts of the benchmarks."""

import xml.etree.ElementTree as ET

import pytest

from benchmarks.plot import WIDTH, Bar, Heading, Panel, draw

SVG = "{http://www.w3.org/2000/svg}"
PANEL = Panel(
    "Requests", "a note", [Bar("script", 4.0, "4.00"), Bar("ours", 1.0, "1.00", ours=True)], 2.0
)


def drawn(*panels):
    return ET.fromstring(draw("A & B", panels))


def bars(root):
    return [rect for rect in root.iter(f"{SVG}rect") if rect.get("class") in ("ours", "other")]


def test_every_label_and_figure_is_text():
    """Nothing is shown by colour or length alone."""
    texts = [text.text for text in drawn(PANEL).iter(f"{SVG}text")]
    assert texts == [
        "A & B", "Requests", "a note", "script", "4.00", "ours", "1.00", "promised",
    ]  # fmt: skip


def test_lengths_are_in_proportion():
    """The largest bar takes the whole width, ours is in colour."""
    other, ours = bars(drawn(PANEL))
    assert float(other.get("width")) == pytest.approx(4 * float(ours.get("width")), rel=0.01)
    assert (other.get("class"), ours.get("class")) == ("other", "ours")


def test_a_limit_above_all_bars_stays_in_the_panel():
    """The line of the promise is at its value, and bars shrink so that it fits."""
    root = drawn(Panel("Cost", "", [Bar("1", 100.0, "100")], limit=120.0))
    (limit,) = [line for line in root.iter(f"{SVG}line") if line.get("class") == "limit"]
    (bar,) = bars(root)
    end = float(bar.get("x")) + float(bar.get("width"))
    assert end < float(limit.get("x1")) < WIDTH / 2


def test_zeros_are_drawn_as_no_bar():
    """A panel where everything is zero has bars without length."""
    (bar,) = bars(drawn(Panel("Twice", "", [Bar("ours", 0.0, "0")])))
    assert float(bar.get("width")) == 0.0


def test_a_heading_takes_a_line():
    """What is below it moves down."""
    root = drawn(Panel("Requests", "", [Heading("in genesys"), *PANEL.bars]))
    assert float(bars(root)[0].get("y")) > float(bars(drawn(PANEL))[0].get("y"))
    assert "in genesys" in [text.text for text in root.iter(f"{SVG}text")]


def test_it_is_readable_in_the_dark():
    """The colours follow the reader's scheme."""
    assert "prefers-color-scheme: dark" in draw("A", [PANEL])


def test_panels_fill_two_columns():
    """The third panel is below the first."""
    places = [group.get("transform") for group in drawn(PANEL, PANEL, PANEL).iter(f"{SVG}g")]
    lefts = [place.split("(")[1].split()[0] for place in places]
    assert lefts[0] == lefts[2] != lefts[1]
    assert places[0] != places[2]
