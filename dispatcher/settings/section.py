"""The base class of all tables of the configuration file."""

from pydantic import BaseModel, ConfigDict


class SettingsSection(BaseModel):
    """One table of the configuration file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        hide_input_in_errors=True,
    )
