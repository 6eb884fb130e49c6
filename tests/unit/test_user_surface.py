"""What users rely on by name: metrics, log events, settings, commands, exit codes, the schema."""

import json

import pytest

from tests.support.user_surface import saved, text

pytestmark = pytest.mark.xdist_group("user surface")


@pytest.fixture(scope="module")
def at_present():
    return json.loads(text())


@pytest.mark.parametrize("part", sorted(saved()))
def test_nothing_that_users_rely_on_changes_by_accident(at_present, part):
    """A change is made on purpose: in the saved surface, and with a line in CHANGELOG.md."""
    assert at_present[part] == saved()[part]


def test_the_surface_has_every_part(at_present):
    """A part that is no longer found would compare as equal to nothing."""
    assert {len(part) > 5 for part in at_present.values()} == {True}
