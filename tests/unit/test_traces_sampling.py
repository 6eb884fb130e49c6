"""Which contacts are traced, and where spans are sent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.telemetry.traces.endpoint import find_endpoint, is_disabled, place
from dispatcher.telemetry.traces.sampling import is_sampled

DEFAULT = "http://127.0.0.1:4318/v1/traces"
SHARES, NAMES = st.floats(0, 1), st.text(max_size=8)


@settings(max_examples=50)
@given(campaign=NAMES, key=NAMES, one=SHARES, other=SHARES)
def test_a_larger_share_has_all_contacts_of_a_smaller_one(campaign, key, one, other):
    """0 has none and 1 has all, whatever the names are."""
    less, more = sorted((one, other))
    assert is_sampled(campaign, key, less) <= is_sampled(campaign, key, more)
    assert not is_sampled(campaign, key, 0.0)
    assert is_sampled(campaign, key, 1.0)


def test_the_share_is_met_for_numbered_keys_and_campaigns_differ():
    """Keys of an export often differ in their last characters only."""
    chosen = [{n for n in range(20_000) if is_sampled(name, f"key-{n}", 0.1)} for name in "ab"]
    assert all(1800 < len(keys) < 2200 for keys in chosen)
    assert len(chosen[0] & chosen[1]) < 400


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, DEFAULT),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, DEFAULT),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://agent:4318/"}, "http://agent:4318/v1/traces"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://agent:4318",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://other/in",
            },
            "https://other/in",
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, DEFAULT),
    ],
)
def test_variables_override_the_setting(environ, endpoint):
    """The variable for traces is used as it is; the path is added to the one for all signals."""
    assert find_endpoint(DEFAULT, environ) == endpoint


@pytest.mark.parametrize(
    ("environ", "setting", "name"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, DEFAULT, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "hidden"}, DEFAULT, "OTEL_EXPORTER_OTLP_TRACES_PR"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "hidden:4318"}, DEFAULT, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://hidden:no"}, DEFAULT, "OTEL_EXPORTER_OTLP_ENDPO"),
        ({}, "hidden", "telemetry.trace_endpoint"),
        ({}, "", "telemetry.trace_endpoint"),
    ],
)
def test_an_unusable_address_is_named_and_not_quoted(environ, setting, name):
    """It may have a password."""
    with pytest.raises(ValueError, match=name) as error:
        find_endpoint(setting, environ)
    assert "hidden" not in str(error.value)


def test_the_place_has_no_password_and_no_query():
    assert place("https://user:hidden@host/v1/traces?key=hidden") == "host:443"
    assert place(DEFAULT) == "127.0.0.1:4318"


@pytest.mark.parametrize(("value", "disabled"), [("true", True), ("TRUE", True), ("", False)])
def test_the_standard_variable_turns_traces_off(value, disabled):
    assert is_disabled({"OTEL_SDK_DISABLED": value}) is disabled
