"""The number of custom metrics in the documents is that of the catalog."""

from tests.support.custom_metrics import DOCUMENT, custom_metrics, document


def test_the_document_has_the_numbers_of_the_catalog():
    """After a change of the catalog: python -m tests.support.custom_metrics."""
    text = DOCUMENT.read_text("utf-8")
    assert document(text) == text
    assert f"{sum(custom_metrics().values())} custom metrics" in text
