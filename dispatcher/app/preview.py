"""Builds a preview of a campaign's messages, and sends one of them outside of the campaign."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field

import uvloop

from dispatcher.app.sources import make_source
from dispatcher.app.store import is_there, operator_store
from dispatcher.app.suppression import id_columns, read_list
from dispatcher.app.wiring import make_policy, make_row_rules, open_client
from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.single_send import SingleSend, SingleSendReport
from dispatcher.ports import Batch, CommandError
from dispatcher.ports.questions import HistoryOf
from dispatcher.settings import Settings
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.row_errors import HeaderRowError, InvalidRowError
from dispatcher.sources.rows.template import Template
from dispatcher.sources.suppression.list_file import plain_name
from dispatcher.sources.suppression_list import SuppressionList


class PreviewError(DispatcherError):
    """There is no message to send, or it must not go to that conversation."""

    exit_code = ExitCode.USAGE


@dataclass(slots=True)
class Preview:
    """The messages of a source: some of them, and how many there are of each kind.

    ``fallbacks`` has how many messages use the fallback of a column, ``suppressed`` how many
    contacts the suppression list or an opt-out column leaves out. ``has_target`` is true if a
    contact has the conversation that a single message is to be sent to.
    """

    first: list[Contact] = field(default_factory=list)
    longest: list[Contact] = field(default_factory=list)
    shortest: list[Contact] = field(default_factory=list)
    with_fallback: list[Contact] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    rows: int = 0
    contacts: int = 0
    filtered: int = 0
    suppressed: int = 0
    having_fallback: int = 0
    fallbacks: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    has_target: bool = False


def preview(settings: Settings, number: int, target: str = "") -> Preview:
    """Read the source to its end, and return up to ``number`` messages of each kind.

    Raises:
        SourceError: the source or the suppression list cannot be read.

    """
    suppression_list = None
    if settings.rules.suppression_file:
        suppression_list = read_list(settings.rules, id_columns(settings.source))
    collector = _Collector(make_row_rules(settings), number, suppression_list, target)
    return asyncio.run(collector.read(settings))


def send_one(settings: Settings, found: Preview, target: str, *, force: bool) -> SingleSendReport:
    """Send the first message of a preview to one conversation; no ledger is written to.

    ``force`` permits a conversation that belongs to a contact of the source or the ledger.

    Raises:
        PreviewError: there is no message, or the conversation is a contact's, or is no id.
        SourceError: the suppression list cannot be read.
        PlatformReadError, CredentialsError, TokenUnavailableError: as the platform raises them.

    """
    if not found.first:
        raise PreviewError("--send-to: the source has no message that could be sent")
    if not force and (found.has_target or _is_in_ledger(settings, target)):
        raise PreviewError(
            f"--send-to: conversation {target} is a contact of this source or ledger, and the "
            "campaign may write to it again; name a conversation of your own, or add --yes"
        )
    return uvloop.run(_send(settings, _addressed(settings, found.first[0], target)))


async def _send(settings: Settings, contact: Contact) -> SingleSendReport:
    clock, rules = SystemClock(), CampaignRules()
    if settings.rules.suppression_file:
        suppression_list = read_list(settings.rules, id_columns(settings.source))
        rules = CampaignRules(suppressed=suppression_list.matches)
    async with AsyncExitStack() as stack:
        platform, pacer, reader = await open_client(settings, clock, stack)
        sender = SingleSend(platform, pacer, reader, make_policy(settings), rules, clock)
        return await sender.send(contact)


def _addressed(settings: Settings, contact: Contact, target: str) -> Contact:
    """Return a contact of the target alone, with the message of another one."""
    row = {"conversation_id": target, "text": contact.text, "subject": contact.subject or ""}
    cells = {name: cell for name, cell in row.items() if cell}
    try:
        built = ContactBuilder(RowRules(text_limit=make_row_rules(settings).text_limit)).build(
            cells
        )
    except HeaderRowError:
        raise PreviewError("--send-to: the name of a column is not a conversation id") from None
    except InvalidRowError as error:
        raise PreviewError(f"--send-to: {error.detail}") from None
    if built is None:
        raise PreviewError("--send-to: this conversation cannot get a message")
    return built


def _is_in_ledger(settings: Settings, target: str) -> bool:
    place = settings.ledger_place
    if not is_there(place):
        return False
    with suppress(CommandError):
        return bool(operator_store(place).look(HistoryOf(target)))
    return False


class _Collector:
    """Keeps some messages of each kind while a source of any length is read."""

    def __init__(
        self, rules: RowRules, number: int, suppression_list: SuppressionList | None, target: str
    ) -> None:
        self._preview = Preview()
        self._rules = rules
        self._number = number
        self._people = suppression_list
        self._target = target.casefold()
        template = Template(rules.text or "")
        names = {name: plain_name(rules.columns.get(name, name)) for name in template.names}
        self._template = template.renamed(names)
        self._names = {plain: name for name, plain in names.items()}
        self._by_length: tuple[list[_Sized], list[_Sized]] = ([], [])

    async def read(self, settings: Settings) -> Preview:
        """Read the source of the settings to its end."""
        async with aclosing(make_source(settings, once=True, patient=False).batches({})) as batches:
            async for batch in batches:
                self._add(batch)
        longest, shortest = (sorted(sized, reverse=True) for sized in self._by_length)
        self._preview.longest = [contact for _, _, contact in longest]
        self._preview.shortest = [contact for _, _, contact in shortest]
        return self._preview

    def _add(self, batch: Batch) -> None:
        found = self._preview
        found.rows += batch.rows
        found.filtered += batch.filtered
        found.reasons.update(row.reason for row in batch.rejected)
        found.rejected += batch.rejected[: self._number - len(found.rejected)]
        for contact in batch.contacts:
            self._add_contact(contact)

    def _add_contact(self, contact: Contact) -> None:
        found = self._preview
        found.contacts += 1
        found.has_target |= contact.conversation_id.casefold() == self._target
        declines = bool(self._rules.opt_out) and self._rules.opt_out.declines(contact.attributes)
        found.suppressed += declines or (
            self._people is not None and self._people.matches_contact(contact)
        )
        if len(found.first) < self._number:
            found.first.append(contact)
        for sign, sized in zip((1, -1), self._by_length, strict=True):
            # Of equally long messages the first ones are kept.
            entry = (sign * len(contact.text), -found.contacts, contact)
            if len(sized) < self._number:
                heapq.heappush(sized, entry)
            else:
                heapq.heappushpop(sized, entry)
        if used := self._fallbacks_used(contact):
            found.fallbacks.update(self._names[name] for name in used)
            found.having_fallback += 1
            if len(found.with_fallback) < self._number:
                found.with_fallback.append(contact)

    def _fallbacks_used(self, contact: Contact) -> frozenset[str]:
        """Return the columns whose fallbacks are in the contact's message."""
        if not self._template.optional:
            return frozenset()
        row = self._row(contact)
        used = self._template.fallbacks_used(row)
        try:
            is_rendered = self._template.render(row) == contact.text
        except KeyError:
            is_rendered = False
        return used if is_rendered else frozenset()

    def _row(self, contact: Contact) -> Mapping[str, str]:
        """Return the contact's row by plain names, without its dates, which are times by now."""
        column = self._rules.column
        known = {
            column("conversation_id"): contact.conversation_id,
            column("contact_key"): contact.key,
            column("external_contact_id"): contact.external_contact_id,
            column("address"): contact.address,
        }
        cells = {**contact.attributes, **{name: cell for name, cell in known.items() if cell}}
        return {plain_name(name): cell for name, cell in cells.items()}


_Sized = tuple[int, int, Contact]
"""A message's length or its negative, its negative place in the source, and its contact."""
