"""[source.kafka]: what is a mistake, each with its key and what to do."""

import pytest

from dispatcher.settings import SettingsError
from tests.support.least_settings import only_mistake, settings

TOPIC = (
    "source.kind=kafka",
    "source.path=",
    "source.kafka.bootstrap_servers=one:9092,[::1]:9093",
    "source.kafka.topic=carts",
)
LOGIN = (
    "source.kafka.security_protocol=SASL_PLAINTEXT",
    "source.kafka.sasl_username=reader",
    "source.kafka.password_variable=KAFKA_PASSWORD",
)


def test_a_topic_needs_servers_and_a_name():
    """Everything else has a default."""
    kafka = settings(*TOPIC).source.kafka
    assert (kafka.start, kafka.security_protocol) == ("earliest", "PLAINTEXT")
    assert settings(*TOPIC, *LOGIN).source.kafka.sasl_mechanism == "PLAIN"


@pytest.mark.parametrize(
    ("sets", "key", "problem"),
    [
        (["bootstrap_servers=one"], "bootstrap_servers", "which is not host:port"),
        (["bootstrap_servers=me:secret-3Z@one:1"], "bootstrap_servers", "has a user name or a"),
        (["bootstrap_servers=kafka://one:1"], "bootstrap_servers", "which is not host:port"),
        (["sasl_username=reader"], "sasl_username", "which does not use it"),
        (["ssl_cafile=ca.pem"], "ssl_cafile", "which does not use it"),
        (["security_protocol=SSL", "ssl_keyfile=key.pem"], "ssl_keyfile", "without ssl_certfile"),
    ],
)
def test_a_mistake_is_named(sets, key, problem):
    """A key without an effect is one, because the connection would be less safe than meant."""
    sets = [f"source.kafka.{value}" for value in sets]
    with pytest.raises(SettingsError) as caught:
        settings(*TOPIC, *sets)
    mistakes = [mistake for mistake in caught.value.mistakes if problem in mistake.problem]
    assert [mistake.key for mistake in mistakes] == [f"source.kafka.{key}"]
    assert "secret-3Z" not in str(caught.value)


@pytest.mark.parametrize(
    ("left_out", "key", "problem"),
    [(1, "sasl_username", "is empty"), (2, "password_file", "is empty")],
)
def test_a_login_needs_a_name_and_a_password(left_out, key, problem):
    """Both come before the first connection."""
    mistake = only_mistake(*TOPIC, *(line for n, line in enumerate(LOGIN) if n != left_out))
    assert (mistake.key, problem in mistake.problem) == (f"source.kafka.{key}", True)


def test_a_password_is_in_one_place():
    """Otherwise it is not clear which one counts."""
    mistake = only_mistake(*TOPIC, *LOGIN, "source.kafka.password_file=password")
    assert mistake.key == "source.kafka.password_file"


@pytest.mark.parametrize("left_out", [2, 3])
def test_a_required_key_that_is_missing_is_the_only_mistake(left_out):
    """Its section cannot be checked without it, and causes no other mistake."""
    mistake = only_mistake(*(line for n, line in enumerate(TOPIC) if n != left_out))
    assert mistake.key == TOPIC[left_out].partition("=")[0]


def test_the_section_belongs_to_its_kind():
    """A topic that no setting selects is a mistake, and so is the kind without its section."""
    assert only_mistake(*TOPIC[2:]).key == "source.kind"
    assert only_mistake("source.kind=kafka", "source.path=").key == "source.kind"
