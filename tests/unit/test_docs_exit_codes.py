"""The unit for systemd, and the table of exit codes, fit the codes that a run has."""

import configparser
import re
from pathlib import Path

from dispatcher.cli.exit_codes import MEANINGS, RESTART_HELPS
from dispatcher.domain.errors import ExitCode

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
OF_OTHER_COMMANDS = {ExitCode.UNCONFIRMED}


def unit():
    """The unit of the documentation."""
    (text,) = re.findall(r"```ini\n(\[Unit\].*?)```", TEXT, re.DOTALL)
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read_string(text)
    return parser


def test_systemd_restarts_where_a_restart_helps():
    """Every other code of a run prevents it, but 0, which is no failure."""
    service = unit()["Service"]
    prevented = {ExitCode(int(code)) for code in service["RestartPreventExitStatus"].split()}
    assert service["Restart"] == "on-failure"
    assert prevented == set(ExitCode) - RESTART_HELPS - OF_OTHER_COMMANDS - {ExitCode.DONE}


def test_systemd_gives_up_on_a_crash_loop():
    """Starts that end at once reach the limit within its interval."""
    section, service = unit()["Unit"], unit()["Service"]
    starts, interval = int(section["StartLimitBurst"]), int(section["StartLimitIntervalSec"])
    assert starts * (int(service["RestartSec"]) + 60) < interval


def test_every_exit_code_is_described():
    """In the help and in the table of the documentation."""
    section = TEXT.split("## Exit codes")[1].split("\n## ")[0]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert codes == set(ExitCode) == set(MEANINGS)
