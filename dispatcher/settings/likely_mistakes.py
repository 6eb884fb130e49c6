"""Settings that are allowed, but are perhaps mistakes."""

from collections.abc import Iterator

from dispatcher.domain.loopback import is_loopback
from dispatcher.platforms.genesys.regions import REGIONS, api_url, login_url
from dispatcher.settings.ledger import has_encryption, hosts_of
from dispatcher.settings.model import Settings
from dispatcher.settings.sms_text import alphabet_warning
from dispatcher.telemetry.tag_values import same_tags


def warnings(settings: Settings) -> list[str]:
    """Return what is allowed, but is perhaps a mistake."""
    found = []
    for campaign in settings.campaigns:
        if not campaign.message.text:
            which = f"campaign {campaign.name}: " if len(settings.campaigns) > 1 else ""
            found.append(f"{which}message.text is empty: every row must have a text")
    found += _same_tags("campaigns", [campaign.name for campaign in settings.campaigns])
    found += _same_tags("clients", [client.name for client in settings.clients])
    if settings.engine.sharing == "fair" and any(c.priority for c in settings.campaigns):
        found.append('engine.sharing is "fair": priorities have no effect')
    if settings.telemetry.health_port and not is_loopback(settings.telemetry.health_host):
        found.append(
            "telemetry.health_host is not loopback: anyone who reaches the port can read the status"
        )
    rules = settings.rules
    if rules.timezone_column and not (rules.quiet_hours or rules.holidays):
        found.append("rules.timezone_column has no effect: rules.quiet_hours is empty")
    found += _first_call_warnings(settings)
    states = settings.platform.states_per_call
    if states != "auto" and states > settings.engine.workers:
        found.append(
            "platform.states_per_call is more than engine.workers: no more contacts than workers "
            "can wait together"
        )
    if settings.retry.not_ended_max_minutes * 60 < settings.retry.not_ended_seconds:
        found.append(
            "retry.not_ended_max_minutes is shorter than not_ended_seconds: no second check"
        )
    if settings.retry.engaged_max_minutes * 60 < settings.retry.engaged_seconds:
        found.append("retry.engaged_max_minutes is shorter than engaged_seconds: no second check")
    return [*found, *_ledger_warnings(settings), *_platform_warnings(settings)]


def _ledger_warnings(s: Settings) -> Iterator[str]:
    url = s.ledger.url
    far = [host for host in hosts_of(url) if not (host.startswith("/") or is_loopback(host))]
    if far and not has_encryption(url):
        yield (
            f"ledger.url: connections to {', '.join(far)} may be in plain text; add "
            "sslmode=verify-full and sslrootcert=FILE to the URL (docs/ledger-postgres.md, TLS)"
        )


def _same_tags(what: str, names: list[str]) -> Iterator[str]:
    for value, group in same_tags(names):
        listed = ", ".join(group)
        yield (
            f"{what} {listed}: Datadog stores each name as {value}, so their metrics are added up; "
            "choose names that differ by more than case and underscores"
        )


def _first_call_warnings(s: Settings) -> Iterator[str]:
    if s.platform.first_call == "check":
        for campaign in s.campaigns:
            which = f"campaign {campaign.name}: " if len(s.campaigns) > 1 else ""
            if campaign.source.alike_columns or campaign.source.age_column:
                yield (
                    f"{which}source.alike_columns and source.age_column have no effect: "
                    'platform.first_call is "check"'
                )
        return
    if s.platform.dialect != "messaging":
        yield (
            'platform.first_call = "learn" has no effect in this dialect: its platform does not '
            "refuse a send that only a state check can rule out"
        )
        return
    for campaign in s.campaigns:
        if campaign.rules.suppression_file:
            which = f"campaign {campaign.name}: " if len(s.campaigns) > 1 else ""
            yield (
                f'{which}platform.first_call = "learn" has no effect with rules.suppression_file: '
                "the list may have an id or an address that only a state check shows"
            )


def _platform_warnings(s: Settings) -> Iterator[str]:
    region = s.platform.region
    if region and region not in REGIONS:
        yield (
            f'platform.region "{region}" is not in the list of regions; it may be newer than the '
            f"list. Its hosts are {api_url(region)} and {login_url(region)}: if that is wrong, "
            "correct it, or set platform.base_url and platform.login_url"
        )
    if s.platform.dialect == "genesys" and s.platform.messenger == "sms":
        texts = (alphabet_warning(campaign.message.text) for campaign in s.campaigns)
        yield from dict.fromkeys(warning for warning in texts if warning)
