"""Columns in which people say whether they want messages: never ignored, never guessed."""

import asyncio
import json
from dataclasses import replace

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Finish
from dispatcher.domain.opt_out import OptOutColumns, consents, opts_out
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Status
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules

HELLO = RowRules(text="Hello")
OPT_OUTS = (
    "opt_out", "OptOut", "OPTED-OUT", "HasOptedOutOfEmail", "sms_opt_out", "Opt-out?",
    "opted_out_date", "do_not_contact", "DoNotCall", "DONOTCONTACT", "donotemail", "dont_text",
    "dnc", "DNC_FLAG", "unsubscribed", "Unsubscribed At", "unsub", "suppressed", "blacklisted",
    "erasure_requested", "gdpr_delete", "PleaseStop", "consent_revoked", "ne_pas_contacter",
    "is_blocked", "no_marketing", "deceased", "consent_withdrawn", "no_consent", "Werbesperre",
)  # fmt: skip
CONSENTS = (
    "consent", "marketing_consent", "GDPR Consent", "consentGiven", "opt_in", "OptedIn",
    "is_subscribed", "subscription_status", "accepts_marketing", "can_contact", "contactable",
    "contact_allowed", "sms_permission", "sms_enabled", "wants_email",
    "permission_to_contact", "ContactCallable", "GDPR",
)  # fmt: skip
OTHERS = (
    "first_name", "option", "adoption", "text_color", "send_after_hours_note", "notes",
    "phone_number", "phone_no", "subscription_id", "withdrawal_amount",
    "complaint_text", "proposed",
    "contact_id", "last_contact_at", "block_number", "stopover", "bus_stop", "call_center",
    "contact_preference", "in", "out", "canceled", "content", "options_in_stock", "number_of_calls",
)  # fmt: skip


def read(tmp_path, names, rows, rules=HELLO, form="csv"):
    """Return the contacts and the rejected rows' lines, reasons and details."""
    path = tmp_path / f"a.{form}"
    if form == "csv":
        path.write_text("\n".join(map(",".join, [names, *rows])) + "\n")
    else:
        objects = (dict(zip(names, row, strict=True)) for row in rows)
        path.write_text("".join(json.dumps(one) + "\n" for one in objects))

    async def drain():
        return [batch async for batch in open_source(str(path), rules).batches({})]

    batches = asyncio.run(drain())
    rejected = [row for batch in batches for row in batch.rejected]
    return [contact for batch in batches for contact in batch.contacts], rejected


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("name", "kind"), [*((n, "opt_out") for n in OPT_OUTS), *((n, "consent") for n in CONSENTS)]
)
def test_a_column_that_no_setting_names_is_an_error_with_the_line_to_write(
    tmp_path, name, kind, form
):
    with pytest.raises(SourceError) as caught:
        read(tmp_path, ["conversation_id", name], [["c1", "false"]], form=form)
    assert f'rules.{kind}_columns = ["{name}"]' in str(caught.value)
    assert f'source.attributes = ["{name}"]' in str(caught.value)


@pytest.mark.parametrize("name", OTHERS)
def test_a_column_about_something_else_is_none(tmp_path, name):
    (contact,), rejected = read(tmp_path, ["conversation_id", name], [["c1", "x"]])
    assert (contact.conversation_id, rejected) == ("c1", [])


@pytest.mark.parametrize(
    "rules",
    [
        replace(HELLO, attributes=("Opt Out",)),
        replace(HELLO, filter={"opt_out": ["x"]}),
        replace(HELLO, opt_out=OptOutColumns(opt_out=("OPT-OUT",))),
    ],
    ids=["an attribute", "a filter", "named"],
)
def test_a_column_that_a_setting_names_is_no_question(tmp_path, rules):
    (contact,), _ = read(tmp_path, ["conversation_id", "opt_out"], [["c1", "x"]], rules)
    assert contact.conversation_id == "c1"


def test_the_line_keeps_the_columns_that_are_named_already(tmp_path):
    rules = replace(HELLO, opt_out=OptOutColumns(opt_out=("dnc",)))
    with pytest.raises(SourceError, match=r'rules\.opt_out_columns = \["dnc", "unsub"\]'):
        read(tmp_path, ["conversation_id", "dnc", "unsub"], [["c1", "0", "0"]], rules)


def test_a_file_without_a_column_that_is_named_is_refused(tmp_path):
    rules = replace(HELLO, opt_out=OptOutColumns(consent=("consent",)))
    with pytest.raises(SourceError, match="has no column 'consent'"):
        read(tmp_path, ["conversation_id", "name"], [["c1", "x"]], rules)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_value_that_is_neither_yes_nor_no_rejects_its_row(tmp_path, form):
    """The other rows are contacts; a null marker is an empty cell. No detail quotes a value."""
    rules = replace(HELLO, opt_out=OptOutColumns(("dnc",), ("consent",)))
    rows = [
        ["c1", "no", "yes"],
        ["c2", "perhaps", "yes"],
        ["c3", "", "2026-01-01"],
        ["c4", "NULL", ""],
    ]
    found, rejected = read(tmp_path, ["conversation_id", "DNC", "Consent"], rows, rules, form)
    assert [contact.conversation_id for contact in found] == ["c1", "c4"]
    assert [row.reason for row in rejected] == ["unclear_opt_out"] * 2
    assert ["'dnc'" in rejected[0].detail, "'consent'" in rejected[1].detail] == [True, True]
    assert "perhaps" not in rejected[0].detail


@pytest.mark.parametrize(
    ("value", "out", "consent"),
    [
        ("1", True, True),
        (" TRUE ", True, True),
        ("Yes", True, True),
        ("x", True, True),
        ("0", False, False),
        ("False", False, False),
        ("N", False, False),
        ("Opted Out", True, False),
        ("UNSUBSCRIBED", True, False),
        ("do-not-contact", True, False),
        ("opted_in", False, True),
        ("subscribed", False, True),
        ("confirmed", None, True),
        ("granted", None, True),
        ("2024-05-01", True, None),
        ("2024-05-01T10:00:00Z", True, None),
        ("01.05.2024", True, None),
        ("1714521600", True, None),
        ("0000-00-00", None, None),
        ("2", None, None),
        ("unknown", None, None),
        ("never", None, None),
        ('{"email":false}', None, None),
    ],
)
def test_what_a_value_means(value, out, consent):
    """A confirmed opt-out is none of a consent, and a date may be a consent's end."""
    assert (opts_out(value), consents(value)) == (out, consent)


@pytest.mark.parametrize(
    ("attributes", "declines"),
    [
        ({"dnc": "no", "consent": "yes"}, False),
        ({"consent": "yes"}, False),
        ({"DNC": "yes", "consent": "yes"}, True),
        ({"dnc": "no"}, True),
        ({"dnc": "no", "consent": "no"}, True),
        ({"dnc": "perhaps", "consent": "yes"}, True),
        ({"dnc": "no", "Consent": "perhaps"}, True),
        ({}, True),
    ],
)
def test_who_is_left_out(attributes, declines):
    """An empty cell is no opt-out and no consent; of the ledger's contacts the unclear ones too."""
    columns = OptOutColumns(("dnc",), ("consent",))
    contact = Contact("k", "c", "Hello", attributes=attributes)
    left_out = Finish(Status.SKIPPED, Reason.SUPPRESSED) if declines else None
    assert columns.declines(attributes) is declines
    assert CampaignRules(opt_out=columns).check(contact, None, Progress(), 0.0) == left_out
    assert CampaignRules().check(contact, None, Progress(), 0.0) is None
