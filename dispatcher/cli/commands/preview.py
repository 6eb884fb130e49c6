"""``dispatcher preview``: the messages that a run would send, before it sends any."""

import json
from collections.abc import Sequence

import click

from dispatcher.app import preview as previews
from dispatcher.cli import tables
from dispatcher.cli.config import SettingsOptions, settings_options
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import debug_option, json_option
from dispatcher.domain.contact import Contact
from dispatcher.domain.errors import ExitCode
from dispatcher.engine.single_send import SingleSendReport

_KINDS = ("first", "longest", "shortest", "with_fallback")


@click.command(epilog=EPILOG)
@settings_options
@click.option(
    "--number",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="The number of messages of each kind.",
)
@click.option(
    "--send-to",
    metavar="CONVERSATION",
    help="Send the first message to this conversation, outside of the campaign.",
)
@click.option("--yes", is_flag=True, help="Send even if the conversation belongs to a contact.")
@json_option
@debug_option
def preview(
    options: SettingsOptions, *, number: int, send_to: str | None, yes: bool, as_json: bool
) -> int:
    """Show the messages that a run would send, with the texts as people would read them.

    The source is read to its end. Shown are the first messages, the longest, the shortest, those
    with a fallback, and the rows that would be rejected. Nothing is written to the ledger.

    With --send-to one message is sent to a conversation of your own, through the token, the quota
    and the platform of a run. It does not count for the campaign.

    \b
    Examples:
      dispatcher preview --config dispatcher.toml
      dispatcher preview --config dispatcher.toml --number 10 --json
      dispatcher preview --config dispatcher.toml --send-to 5f0c9a3e-0000-4000-8000-000000000000
    """
    settings = options.load_settings(purpose="run" if send_to else "preview")
    if len(settings.campaigns) > 1:
        names = settings.title
        raise click.UsageError(f"preview one campaign at a time: --campaign, one of {names}")
    found = previews.preview(settings, number, send_to or "")
    report = None
    if send_to:
        report = previews.send_one(settings, found, send_to, force=yes)
    if as_json:
        click.echo(json.dumps(_as_json(found, report), indent=2))
    else:
        _show(found)
        if report is not None:
            click.echo(f"{'Sent' if report.is_confirmed else 'Not sent'}: {report.detail}.")
    return ExitCode.DONE if report is None or report.is_confirmed else ExitCode.PLATFORM


def _show(found: previews.Preview) -> None:
    titles = (
        "First messages",
        "Longest messages",
        "Shortest messages",
        f"Messages with a fallback ({found.having_fallback:,})",
    )
    for title, kind in zip(titles, _KINDS, strict=True):
        contacts: Sequence[Contact] = getattr(found, kind)
        if contacts:
            rows = [(c.key, len(c.text), c.subject or "", c.text) for c in contacts]
            click.echo(f"{title}:")
            tables.show(title, ("contact_key", "characters", "subject", "text"), rows)
            click.echo()
    if found.rejected:
        title = f"Rows that would be rejected ({found.reasons.total():,})"
        rejected = [(row.file, row.line, row.reason, row.detail) for row in found.rejected]
        click.echo(f"{title}:")
        tables.show(title, ("file", "line", "reason", "detail"), rejected)
        click.echo()
    for line in _counts(found):
        click.echo(line)


def _counts(found: previews.Preview) -> list[str]:
    lines = [f"{found.rows:,} rows: {found.contacts:,} messages, {found.filtered:,} filtered."]
    if found.reasons:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in found.reasons.most_common())
        lines.append(f"Rejected rows: {reasons}.")
    if found.fallbacks:
        columns = ", ".join(f"{name} {n:,}" for name, n in found.fallbacks.most_common())
        lines.append(f"Fallbacks used: {columns}.")
    if found.suppressed:
        lines.append(
            f"On the suppression list, or opted out: {found.suppressed:,}; they get no message."
        )
    return lines


def _as_json(found: previews.Preview, report: SingleSendReport | None) -> dict[str, object]:
    messages = {
        kind: [
            {"contact_key": c.key, "subject": c.subject, "text": c.text, "characters": len(c.text)}
            for c in getattr(found, kind)
        ]
        for kind in _KINDS
    }
    rejected = [
        {"file": row.file, "line": row.line, "reason": row.reason, "detail": row.detail}
        for row in found.rejected
    ]
    counts = {
        "rows": found.rows,
        "messages": found.contacts,
        "filtered": found.filtered,
        "suppressed": found.suppressed,
        "with_fallback": found.having_fallback,
        "fallbacks": dict(found.fallbacks),
        "rejected": dict(found.reasons),
    }
    sent = None if report is None else {"sent": report.is_confirmed, "detail": report.detail}
    return {"counts": counts, **messages, "rejected": rejected, "send_to": sent}
