"""Where the metrics go."""

import pytest

from dispatcher.telemetry.metrics.agent import AgentAddress, find_agent


def test_arguments_hold_without_variables():
    """Without DD_ variables, the settings say where the agent is."""
    assert find_agent("agent.local", 9125, None, {}) == AgentAddress("agent.local", 9125)
    assert find_agent(socket_path="/run/dsd.socket", environ={}) == AgentAddress(
        socket_path="/run/dsd.socket"
    )


@pytest.mark.parametrize(
    ("environ", "agent"),
    [
        ({"DD_AGENT_HOST": "node"}, AgentAddress("node", 9125)),
        ({"DD_DOGSTATSD_PORT": "8126"}, AgentAddress("here", 8126)),
        ({"DD_AGENT_HOST": "node", "DD_DOGSTATSD_PORT": "8126"}, AgentAddress("node", 8126)),
        ({"DD_AGENT_HOST": "unix:///run/a"}, AgentAddress(socket_path="unix:///run/a")),
        (
            {"DD_DOGSTATSD_SOCKET": "/run/a", "DD_AGENT_HOST": "node"},
            AgentAddress(socket_path="/run/a"),
        ),
        (
            {"DD_DOGSTATSD_URL": "udp://far:99", "DD_DOGSTATSD_SOCKET": "/a"},
            AgentAddress("far", 99),
        ),
        ({"DD_DOGSTATSD_URL": "udp://far"}, AgentAddress("far", 8125)),
        ({"DD_DOGSTATSD_URL": "udp://[::1]:99"}, AgentAddress("::1", 99)),
        ({"DD_DOGSTATSD_URL": "unix:///run/a"}, AgentAddress(socket_path="unix:///run/a")),
        ({"DD_AGENT_HOST": "", "DD_DOGSTATSD_URL": ""}, AgentAddress("here", 9125)),
    ],
)
def test_variables_win(environ, agent):
    """Datadog's own variables win over the settings, the URL over all others."""
    assert find_agent("here", 9125, None, environ) == agent


@pytest.mark.parametrize(
    "environ", [{"DD_AGENT_HOST": "node"}, {"DD_DOGSTATSD_PORT": "8126"}], ids=str
)
def test_variables_win_over_a_socket(environ):
    """A variable that asks for UDP wins over a socket from the settings."""
    assert find_agent(socket_path="/run/dsd.socket", environ=environ).socket_path is None


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"DD_DOGSTATSD_PORT": "tcp://10.0.0.1:8125"}, "DD_DOGSTATSD_PORT"),
        ({"DD_DOGSTATSD_PORT": "0"}, "DD_DOGSTATSD_PORT"),
        ({"DD_DOGSTATSD_PORT": "70000"}, "DD_DOGSTATSD_PORT"),
        ({"DD_DOGSTATSD_URL": "http://node:8125"}, "DD_DOGSTATSD_URL"),
        ({"DD_DOGSTATSD_URL": "udp://node:99999"}, "DD_DOGSTATSD_URL"),
        ({"DD_DOGSTATSD_URL": "unix://"}, "DD_DOGSTATSD_URL"),
    ],
)
def test_a_wrong_variable_is_named(environ, named):
    """A variable that is no address is an error that names it."""
    with pytest.raises(ValueError, match=named):
        find_agent(environ=environ)
