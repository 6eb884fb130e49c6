"""Links in monitors and conditions, whatever parts their addresses have already."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.condition import Cause
from dispatcher.domain.condition_texts import runbook_link
from dispatcher.telemetry.datadog_assets.links import add_query, link_dashboard

QUERY = "tpl_var_env={{env.name}}&tpl_var_service={{service.name}}"


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://d/x", f"https://d/x?{QUERY}"),
        ("https://d/x?", f"https://d/x?{QUERY}"),
        ("https://d/x?a=1&b", f"https://d/x?a=1&b&{QUERY}"),
        ("https://d/x#f?g", f"https://d/x?{QUERY}#f?g"),
        ("https://d/x?a=1&tpl_var_env=live#f", f"https://d/x?a=1&{QUERY}#f"),
    ],
)
def test_a_query_is_added_before_the_fragment(url, link):
    assert add_query(url, QUERY) == link
    text = "Dashboard: ${dashboard_url}?%s\nend"
    assert link_dashboard(text % QUERY, url) == f"Dashboard: {link}\nend"


words = st.text("abz09", min_size=1, max_size=5)


@given(st.dictionaries(words, words), words, st.sampled_from(["", "#", "#f"]))
def test_all_that_was_asked_for_is_in_the_query(present, value, fragment):
    """Whatever the address had, each name has one value, and the fragment is the last part."""
    query = "&".join(f"{name}={text}" for name, text in present.items())
    link = add_query(f"https://d/x?{query}{fragment}", f"new={value}")
    assert parse_qs(urlsplit(link).query) == {
        **{name: [text] for name, text in present.items()},
        "new": [value],
    }
    assert urlsplit(link).fragment == fragment[1:]


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("", "docs/runbook.md#condition-ok"),
        ("https://w/r?id=5", "https://w/r?id=5#condition-ok"),
        ("https://w/r#top", "https://w/r#condition-ok"),
    ],
)
def test_a_runbook_is_linked_at_the_section_of_the_cause(url, link):
    assert runbook_link(Cause.OK, url) == link
