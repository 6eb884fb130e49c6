"""What a service manager such as systemd gets from a run, from its start to its end."""

import signal
import socket

from tests.support.sandbox_process import DEMO_SCENARIO
from tests.support.scenario_runner import play


def test_a_run_reports_ready_alive_its_counts_and_its_end(tmp_path):
    """In this order, and each sign of life comes in time."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        play(tmp_path, DEMO_SCENARIO, 200) as played,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        played.environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        process = played.start("--once")
        messages = []
        while not messages or "notified" not in messages[-1].get("STATUS", ""):
            lines = manager.recv(4096).decode().splitlines()
            messages.append(dict(line.split("=", 1) for line in lines))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        manager.setblocking(False)
        last = {}
        while "STOPPING" not in last:
            last = dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())
    assert all(message.get("WATCHDOG") == "1" for message in messages)
    (ready,) = (n for n, message in enumerate(messages) if "READY" in message)
    assert all("EXTEND_TIMEOUT_USEC" in message for message in messages[:ready])
    assert messages[-1]["STATUS"].startswith("play: ")
    assert "in flight: " in messages[-1]["STATUS"]
