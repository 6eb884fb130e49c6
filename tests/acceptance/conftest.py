"""What the acceptance suites share."""

import pytest

from tests.support.dialects import DIALECTS


@pytest.fixture(params=DIALECTS)
def dialect(request):
    """Each dialect that the dispatcher speaks, one after the other."""
    return request.param
