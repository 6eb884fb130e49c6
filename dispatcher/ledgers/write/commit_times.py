"""How long commits take."""

from typing import NamedTuple


class CommitTimes(NamedTuple):
    """The number of commits so far, and the seconds that they took together."""

    commits: int = 0
    seconds: float = 0.0

    def plus(self, seconds: float) -> "CommitTimes":
        """Return the times with one commit more."""
        return CommitTimes(self.commits + 1, self.seconds + seconds)

    def mean_since(self, earlier: "CommitTimes") -> float:
        """Return the mean duration of the commits since then in seconds; 0 if there was none."""
        commits = self.commits - earlier.commits
        return (self.seconds - earlier.seconds) / commits if commits else 0.0
