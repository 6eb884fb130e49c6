"""Links of all documents lead to something, and so do their anchors."""

import pytest

from tests.support.documents import ROOT, Link, anchors, documents, links, slug

DOCUMENTS = {str(path.relative_to(ROOT)): path for path in documents()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading(name):
    """As a reader of the repository has them; `make docs` checks those of the site."""
    for link in links(DOCUMENTS[name]):
        assert link.file.is_relative_to(ROOT), link
        assert link.file.exists(), link
        if link.anchor and link.file.suffix == ".md":
            assert link.anchor in anchors(link.file), link


def test_links_and_anchors_are_found(tmp_path):
    """Not in code; a second heading of a name has a number."""
    path = tmp_path / "a.md"
    path.write_text(
        "# One `two_three`: four / five\n## Six\n```sh\n# no heading [x](no)\n```\n## Six\n"
        "See [a\nb](b.md#c), `[x](no)`, [`d`](https://example.com), ![e](e.svg) and [f](#six-1).\n"
    )
    assert [link.target for link in links(path)] == ["b.md#c", "e.svg", "#six-1"]
    assert anchors(path) == {"one-two_three-four--five", "six", "six-1"}
    assert Link(path, 1, "#six").file == path
    assert slug("What is [this](x.md)?") == "what-is-this"
