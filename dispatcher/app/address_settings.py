"""The settings that the platform's addresses follow from, for messages."""

from dispatcher.settings import Settings


def api_setting(settings: Settings) -> str:
    """Return the setting that decides which host is called."""
    return "platform.base_url" if settings.platform.base_url else "platform.region"


def token_setting(settings: Settings) -> str:
    """Return the setting that decides which host issues tokens."""
    platform = settings.platform
    if platform.dialect == "genesys" and platform.login_url:
        return "platform.login_url"
    return "platform.region" if platform.region else "platform.base_url"
