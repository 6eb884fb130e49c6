"""The bodies of the `genesys` dialect against the models of the platform's own SDK."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from dispatcher.platforms.genesys import regions
from dispatcher.platforms.genesys import requests as bodies
from dispatcher.platforms.genesys.requests import Sender
from dispatcher.platforms.genesys.spelling import is_one_edit
from tests.support.genesys_sdk import SDK

pytestmark = pytest.mark.xdist_group("official SDK")
PLAIN = {"str": str, "bool": bool, "int": int, "float": float}
SENDERS = [
    Sender("deployment-1"),
    Sender("+4930100", "sms"),
    Sender("integration-1", "open"),
    Sender("integration-2", "apple"),
    Sender("integration-3", "whatsapp", "response-1"),
    Sender("integration-3", "whatsapp", "response-1", "1"),
]


@pytest.fixture(scope="module", autouse=True)
def imported():
    """The SDK takes seconds to import, which no single example is to be charged with."""
    assert SDK.models


def fits(value, kind):
    """Build the SDK's model of this kind out of a body, and say what does not fit it."""
    if several := re.fullmatch(r"list\[(\w+)\]", kind):
        assert isinstance(value, list)
        return [fits(item, several[1]) for item in value]
    if kind == "dict(str, str)":
        assert all(isinstance(part, str) for pair in value.items() for part in pair)
        return value
    if kind in PLAIN:
        assert type(value) is PLAIN[kind], (value, kind)
        return value
    model = getattr(SDK, kind)()
    names = {key: name for name, key in model.attribute_map.items()}
    assert set(value) <= set(names), f"{kind} has no {set(value) - set(names)}"
    for key, inner in value.items():
        built = fits(inner, model.swagger_types[names[key]])
        setattr(model, names[key], built)
        kept = getattr(model, names[key])
        assert kept == built, f"{kind}.{key} takes no {built!r}"  # an enum that it does not know
    return model


def test_the_comparison_finds_what_does_not_fit():
    """A field, a type and an enum value that the SDK does not have."""
    request = "SendAgentlessOutboundMessageRequest"
    good = {"fromAddress": "d", "toAddressMessengerType": "sms"}
    fits(good, request)
    for bad in ({"from": "d"}, {"fromAddress": 1}, {"toAddressMessengerType": "pigeon"}):
        with pytest.raises(AssertionError):
            fits(good | bad, request)


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_sends(sender, existing):
    """Every messenger, into an open conversation and not."""
    body = bodies.agentless(sender, "Hello", "x-1", "+4930200", existing=existing)
    model = fits(body, "SendAgentlessOutboundMessageRequest")
    assert model.from_address == sender.from_address
    assert model.to_address_messenger_type == sender.messenger
    assert model.use_existing_active_conversation is existing
    web, whatsapp = sender.messenger == "webmessaging", sender.messenger == "whatsapp"
    assert model.to_address == (None if web else "+4930200")
    assert (model.text_body is None) is whatsapp
    assert (model.messaging_template is not None) is whatsapp


def test_a_send_names_only_whom_it_knows():
    """No field is sent empty."""
    body = bodies.agentless(Sender("+4930100", "sms"), "Hello", None, "+49", existing=False)
    assert set(body) == {
        "fromAddress",
        "toAddress",
        "toAddressMessengerType",
        "textBody",
        "useExistingActiveConversation",
    }
    apple = bodies.agentless(Sender("i", "apple"), "Hello", "x-1", "+49", existing=False)
    assert "externalContactId" not in apple  # for web messaging, SMS and open messaging alone


def test_a_template_takes_the_text():
    """As the body parameter that the settings name, or not at all."""
    with_parameter, without = (
        bodies.agentless(sender, "Hello", None, "49", existing=False)["messagingTemplate"]
        for sender in (SENDERS[5], SENDERS[4])
    )
    assert with_parameter == {
        "responseId": "response-1",
        "bodyParameters": [{"id": "1", "value": "Hello"}],
    }
    assert without == {"responseId": "response-1"}


@pytest.mark.parametrize("query", [bodies.by_conversation, bodies.by_person])
def test_queries(query):
    """Dimensions, operators and the order are enums there."""
    body = query(["a", "b"], 1_767_225_600.0, 1_767_225_660.5, 2)
    model = fits(body, "ConversationQuery")
    assert model.interval == "2026-01-01T00:00:00.000Z/2026-01-01T00:01:00.500Z"
    (one,) = model.conversation_filters or model.segment_filters
    assert [predicate.value for predicate in one.predicates] == ["a", "b"]
    assert (model.paging.page_size, model.paging.page_number) == (100, 2)


def test_lineage():
    """The tag and the attributes."""
    assert fits(bodies.tag("c-1"), "ConversationTagsUpdate").external_tag == "c-1"
    model = fits(bodies.attributes("c-1"), "ParticipantAttributes")
    assert model.attributes == {"dispatcher.previousConversationId": "c-1"}


@given(st.text(max_size=30), st.text(max_size=9), st.text(max_size=9), st.sampled_from(SENDERS))
def test_whatever_the_row_says_a_send_fits(text, person, address, sender):
    """Texts and ids never change the shape of a body."""
    body = bodies.agentless(sender, text, person or None, address or None, existing=False)
    fits(body, "SendAgentlessOutboundMessageRequest")


def test_regions():
    """All that the SDK has, by the same AWS regions, and no other."""
    hosts = {host.name.replace("_", "-"): host.value for host in SDK.PureCloudRegionHosts}
    listed = regions.BY_AWS_REGION.items()
    assert {name: regions.api_url(region) for name, region in listed} == hosts
    assert regions.login_url("mypurecloud.de") == "https://login.mypurecloud.de"


@given(
    st.text(max_size=60) | st.sampled_from(["https://[bad", "http://", "://", "..", "a..b", "-"])
)
def test_whatever_is_written_for_a_region_is_a_domain_or_none(written):
    """Nothing crashes, and a domain means itself; it can be put behind a host's first label."""
    found = regions.find_region(written)
    if found is not None:
        assert regions.find_region(found) == found
        assert URL(regions.api_url(found)).host == f"api.{found}"


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("abc", "abc", False),
        ("abc", "ab", True),
        ("ab", "abc", True),
        ("abc", "abd", True),
        ("abc", "acb", True),
        ("abc", "xbcd", False),
        ("abcd", "badc", False),
        ("abc", "a", False),
        ("", "a", True),
    ],
)
def test_one_typing_mistake(one, other, near):
    """A letter that is missing, too many, wrong, or changed places."""
    assert is_one_edit(one, other) is near is is_one_edit(other, one)
