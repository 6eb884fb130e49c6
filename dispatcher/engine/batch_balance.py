"""Whether batches of state checks save requests: they may cost little more than they save."""

SHARE = 0.01
"""Requests that batches may cost beyond what they save, as a share of the individual reads."""
START = 3.0
"""Requests that they may cost at first: the first batches show what records are worth."""
MOST = 100.0
"""The upper bound of the balance, so that records that become useless are found out soon."""


class BatchBalance:
    """Counts the requests that batches saved, less those that they cost.

    A batch costs one request. A record that a decision rests on saves one. If the send is then
    refused, the record has saved nothing, and the send may have been one too many. So all requests
    together are never more than `SHARE` of the individual reads, `START`, and the sends of one
    batch above what they would be without batches.
    """

    def __init__(self) -> None:
        self._saved = START

    @property
    def permits_batch(self) -> bool:
        """Whether one more batch is paid for."""
        return self._saved >= 1.0

    def count_batch(self) -> None:
        """Count a batch request."""
        self._saved -= 1.0

    def count_used(self) -> None:
        """Count a record that replaced a request."""
        self._saved = min(MOST, self._saved + 1.0)

    def count_refused(self, *, too_many: bool) -> None:
        """Count a refused send that rested on a record: the record has saved nothing.

        ``too_many``: an individual read might have spared the send. After a notify to a closed
        session the state is known, so the send has taken the place of the read.
        """
        self._saved -= 2.0 if too_many else 1.0

    def count_individual(self) -> None:
        """Count a state that is read individually."""
        self._saved = min(MOST, self._saved + SHARE)
