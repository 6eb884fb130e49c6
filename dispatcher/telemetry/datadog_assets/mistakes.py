"""What is wrong with a file of the assets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AssetMistake:
    """One mistake: the file, the place in it (empty: the whole file), and what is wrong."""

    file: str
    place: str
    what: str

    def __str__(self) -> str:
        """Return the finding in one line."""
        return ": ".join(part for part in (self.file, self.place, self.what) if part)
