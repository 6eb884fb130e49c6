"""Which tests of `make test` a worker gets together: those of a group, and modules of short tests.

A group waits for its server or its process once. In a folder of short tests, to hand over each one
takes longer than many of them need, and each worker would make what a module caches.
"""

from xdist.scheduler import LoadGroupScheduling

SHORT = ("tests/property/", "tests/unit/")
"""Where whole modules are handed over; elsewhere one test may take as long as such a module."""


class Distribution(LoadGroupScheduling):
    """Like ``--dist loadgroup``, but for modules of short tests."""

    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        is_short = scope == nodeid and nodeid.startswith(SHORT)
        return nodeid.partition("::")[0] if is_short else scope
