"""Opens each sink of the settings, for people who check a configuration."""

from dispatcher.app.authorization_report import OnlineFinding
from dispatcher.app.secret_files import read_password
from dispatcher.app.sinks import make_target
from dispatcher.domain.errors import DispatcherError
from dispatcher.settings import Settings
from dispatcher.settings.sinks import AnySink, WebhookSettings
from dispatcher.sinks.webhook_check import check_webhook


async def check_sinks(settings: Settings) -> list[OnlineFinding]:
    """Return what is there at each sink, or what it lacks. No lineage is sent, and no notice."""
    return [await _check_sink(sink, settings) for sink in settings.sinks]


async def _check_sink(sink: AnySink, settings: Settings) -> OnlineFinding:
    what = f"sink {sink.name}"
    try:
        if isinstance(sink, WebhookSettings):
            read_password(what, sink, settings.environment)
            return OnlineFinding(what, await check_webhook(sink.name, sink.url), ok=True)
        target = make_target(sink, settings.environment)
        try:
            return OnlineFinding(what, await target.check(), ok=True)
        finally:
            await target.close()
    except DispatcherError as error:
        return OnlineFinding(what, str(error).removeprefix(f"{what}: "), ok=False)
