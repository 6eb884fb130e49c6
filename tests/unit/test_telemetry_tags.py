"""Unified service tagging, and names that Datadog does not tell apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher import __version__
from dispatcher.telemetry.service_tags import ServiceTags, read_service_tags
from dispatcher.telemetry.tag_values import same_tags, tag_value


@pytest.mark.parametrize("environ", [{}, {"DD_ENV": "", "DD_TAGS": "env:"}])
def test_without_variables_every_unified_tag_has_a_value(environ):
    """The monitors group by ``env`` and ``service``: a series without one would reach none."""
    tags = ["service:dispatcher", "env:none", f"version:{__version__}"]
    assert read_service_tags(environ).tags() == tags


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"DD_SERVICE": "outreach", "DD_ENV": "prod", "DD_VERSION": "2"},
            ServiceTags("outreach", "prod", "2"),
        ),
        ({"DD_TAGS": "team:sales,env:prod"}, ServiceTags(env="prod", further=("team:sales",))),
        ({"DD_TAGS": "team:sales env:prod"}, ServiceTags(env="prod", further=("team:sales",))),
        ({"DD_TAGS": "env:stage", "DD_ENV": "prod"}, ServiceTags(env="prod")),
        (
            {"DD_TAGS": "team:sales,solo", "DATADOG_TAGS": "team:sales,room:one"},
            ServiceTags(further=("team:sales", "solo", "room:one")),
        ),
        ({"DATADOG_TAGS": "service:b", "DD_TAGS": "service:a"}, ServiceTags("a")),
        (
            {"DD_ENTITY_ID": "pod-1", "DD_TAGS": "campaign:mine,client:x"},
            ServiceTags(further=("dd.internal.entity_id:pod-1",)),
        ),
    ],
)
def test_variables_set_tags(environ, expected):
    """Datadog's single variables win over its lists, and no tag is there twice."""
    assert read_service_tags(environ) == expected


names = st.text(alphabet="aAbB1._- :é", min_size=1, max_size=8)


@given(names)
def test_a_tag_value_stays_what_it_is(name):
    assert tag_value(tag_value(name)) == tag_value(name)


@given(st.lists(names, max_size=6))
def test_names_of_one_value_are_named_together(some):
    """Each name with another one of the same value is in exactly one group."""
    grouped = [name for _, group in same_tags(some) for name in group]
    values = [tag_value(name) for name in dict.fromkeys(some)]
    assert sorted(grouped) == sorted(
        name for name in dict.fromkeys(some) if values.count(tag_value(name)) > 1
    )


def test_case_and_underscores_do_not_keep_campaigns_apart():
    assert same_tags(["Cart_1", "cart-1", "cart__1", "cart_1_", "cart.1"]) == [
        ("cart_1", ["Cart_1", "cart__1", "cart_1_"])
    ]
