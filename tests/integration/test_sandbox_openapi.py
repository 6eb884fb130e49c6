"""The OpenAPI documents: what the sandbox serves, what it answers, and the files in docs/."""

import copy
import json
from pathlib import Path

import aiohttp
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from dispatcher.sandbox.openapi import examples
from dispatcher.sandbox.openapi.document import APIS, document
from dispatcher.sandbox.openapi.postman import collection
from dispatcher.sandbox.openapi.write import files
from dispatcher.sandbox.scenario.scenario import load
from dispatcher.sandbox.server import Sandbox
from tests.support import postman_format
from tests.support.openapi_contract import contract
from tests.support.sandbox_client import SandboxClient

DOCS = Path(__file__).parents[2] / "docs"
DIALECTS = tuple(APIS)
EVERY_ANSWER = [
    (name, method, path, status, media, example)
    for name in DIALECTS
    for path, item in document(name)["paths"].items()
    for method, operation in item.items()
    for status, answer in operation["responses"].items()
    for media, content in answer.get("content", {}).items()
    for example in content["examples"].values()
]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_sandbox_serves_its_document_without_a_token_and_without_counting_it(dialect):
    async with (
        Sandbox(load({"dialect": dialect, "rate": {"allowed": 1}})) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(2):
            async with session.get(f"{sandbox.url}/openapi.json") as answer:
                served = await answer.json()
        assert served == document(dialect, sandbox.url)
        assert sandbox.counts()["requests"] == 0


@pytest.mark.parametrize(("name", "content"), list(files()))
def test_the_files_in_docs_are_those_of_the_sandbox(name, content):
    """`make contract` writes them."""
    assert (DOCS / name).read_bytes() == content


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_document_is_valid(dialect):
    validate(document(dialect))


def test_each_example_fits_its_schema():
    """Strictly: an answer has no field that is not described."""
    for dialect, _, _, _, media, example in EVERY_ANSWER:
        of = contract(dialect)
        if media == "application/json":
            of.validate(_schema(of, example), example["value"])
    for dialect in DIALECTS:
        for _, _, operation in contract(dialect).operations:
            for content in operation.get("requestBody", {"content": {}})["content"].values():
                for example in content["examples"].values():
                    contract(dialect).validate(content["schema"], example["value"])


def _schema(of, example):
    """Return the schema next to an example."""
    return next(
        content["schema"]
        for _, _, operation in of.operations
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        if example in content["examples"].values()
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_endpoint_is_described_and_each_example_reaches_it(dialect):
    scenario = load({"dialect": dialect})
    served, _ = examples._sandbox(scenario)
    described = {name for operation in APIS[dialect].operations for name in operation.endpoints}
    assert described == set(served.handlers)
    for operation in APIS[dialect].operations:
        for item in examples.play_all(APIS[dialect], operation):
            assert served.route(item.request)[0] in operation.endpoints
            target = item.request.target.decode()
            found = contract(dialect).operation(operation.method, target)
            assert found["operationId"] == operation.name


def test_the_comparison_finds_what_is_not_described():
    check = contract("messaging").check
    path = "/api/v2/conversations/messaging/active-1/notifications"
    headers = {"ININ-Correlation-Id": "1", "Content-Type": "application/json"}
    good = {"id": "m-1", "conversationId": "active-1"}
    check("POST", path, 202, headers, json.dumps(good))
    for status, sent, body in (
        (202, headers, {**good, "more": 1}),
        (202, headers, {"id": "m-1"}),
        (202, {"Content-Type": "application/json"}, good),
        (202, {**headers, "inin-ratelimit-count": "-1"}, good),
        (202, {**headers, "Content-Type": "text/html"}, good),
        (418, headers, good),
    ):
        with pytest.raises((AssertionError, jsonschema.ValidationError)):
            check("POST", path, status, sent, json.dumps(body))


TEXTS = st.sampled_from(
    ["", "id", "ended-1", "active-1", "gone-1", "new-0-", "deployment-1", "webmessaging",
     "whatsapp", "and", "dimension", "2020-01-01/2030-01-01", "0001-01-01/9999-12-31", "x-ended-1"]
) | st.text(max_size=8)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def changed(value, change):
    """Return copies of a JSON value with one part replaced."""
    yield change
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: other} for other in changed(inner, change))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            for other in changed(inner, change):
                yield [*value[:number], other, *value[number + 1 :]]


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(change=JSON, number=st.integers(0, 1000))
def test_a_body_that_nobody_writes_gets_an_answer_of_the_document(dialect, change, number):
    """An example with one part replaced: any value, at any place."""
    api = APIS[dialect]
    operations = [o for o in api.operations if o.request is not None and not o.is_token]
    operation = operations[number % len(operations)]
    play = operation.plays[number % len(operation.plays)]
    served, grants = examples._sandbox(load({"dialect": dialect}))
    token = grants.issue(examples.FORM, 0.0)["access_token"]
    for body in changed(play.body, change):
        sent = examples.Play("fuzz", "", play.path, body)
        request = examples._request(operation, sent, f"Bearer {token}".encode())
        answer = served.answer(examples._call(served, grants, request))
        head = {"ININ-Correlation-Id": "1", "Content-Type": answer.content_type.decode()}
        if answer.status == 307:
            head["Location"] = "/"
        target = request.target.decode()
        contract(dialect).check(operation.method, target, answer.status, head, answer.body)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_each_request_of_the_postman_collection_is_answered_as_it_says(dialect):
    async with Sandbox(load({"dialect": dialect})) as sandbox, aiohttp.ClientSession() as session:
        client = SandboxClient(session, sandbox)
        client.token_path = APIS[dialect].token_path
        await client.token()
        items = [item for folder in collection(dialect)["item"] for item in folder["item"]]
        assert len(items) >= 20
        for item in items:
            request = item["request"]
            path = request["url"]["raw"].removeprefix("{{baseUrl}}")
            expected = item["response"][0]["code"]
            if "auth" in request:
                form = {field["key"]: field["value"] for field in request["body"]["urlencoded"]}
                status, _ = await client.token(form=form)
            else:
                body = json.loads(request["body"]["raw"]) if "body" in request else None
                status, _ = await client.call(request["method"], path, body)
            assert status == expected, item["name"]
            assert f"status({expected})" in item["event"][0]["script"]["exec"][0]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_collection_has_the_format_of_postman(dialect):
    """Version 2.1.0, with no key that the format does not have there, and URLs that agree."""
    assert [*postman_format.faults(collection(dialect))] == []


def _rename(found, old, new):
    found[new] = found.pop(old)


SPOILED = {
    "a key that is written wrong": (
        lambda _, item: _rename(item["request"], "header", "headers"), "headers"),
    "a status that is text": (
        lambda _, item: item["response"][0].update(code="200"), "not of type 'integer'"),
    "credentials of another kind": (
        lambda whole, _: whole["auth"].update(type="basic"), "auth"),
    "another version": (
        lambda whole, _: whole["info"].update(schema="v2.0.0"), "info/schema"),
    "a variable that nobody defines": (
        lambda _, item: item["request"]["url"].update(host=["{{base}}"]), "base is not defined"),
    "a variable that nobody uses": (
        lambda whole, _: whole["variable"].append({"key": "x", "value": ""}), "x is not used"),
    "a path that differs from its URL": (
        lambda _, item: item["request"]["url"]["path"].append("more"), "the parts of its URL"),
    "a body without its type": (
        lambda _, item: item["request"].update(body={"mode": "raw", "raw": "{}"}), "is sent as"),
    "a name that is there twice": (
        lambda whole, item: whole["item"][0]["item"].append(item), "twice"),
    "a request without a response": (
        lambda _, item: item["response"].clear(), "no response is saved"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), SPOILED.values(), ids=list(SPOILED))
def test_a_collection_that_is_wrong_is_found(spoil, words):
    """Each kind of fault is named with its place."""
    whole = copy.deepcopy(collection(DIALECTS[0]))
    spoil(whole, whole["item"][0]["item"][0])
    assert any(words in fault for fault in postman_format.faults(whole))
