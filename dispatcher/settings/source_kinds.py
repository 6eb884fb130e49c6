"""The kinds of sources, and the section that each kind but files has below ``[source]``."""

from typing import Literal

from dispatcher.settings.field_types import SettingsSection

SourceKind = Literal["files", "objects"]
"""Where contacts are read from."""

SECTIONS = ("objects",)
"""The kinds that have a section of their own, which is called as the kind."""


class ObjectStoreSettings(SettingsSection):
    """How an object store is reached. Credentials come from the environment, not from here."""

    endpoint: str = ""
    region: str = ""
    anonymous: bool = False
    allow_http: bool = False
    virtual_hosted: bool = False
