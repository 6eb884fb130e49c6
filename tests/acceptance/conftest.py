"""What the acceptance suites share."""

import pytest

from tests.support.dialects import DIALECTS


@pytest.fixture(params=DIALECTS)
def dialect(request):
    """Each dialect that the dispatcher speaks, one after the other."""
    return request.param


collect_ignore = [] if "genesys" in DIALECTS else ["test_genesys_sessions.py"]
"""Nothing is played in a dialect that the dispatcher does not speak."""
