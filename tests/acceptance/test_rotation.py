"""Credentials that change in mid-run, by the installed command and a real OpenBao."""

import base64
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.support import forked_process
from tests.support.forked_process import ROOT, clean_environment
from tests.support.openbao import openbao, sealable, unseal
from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_nobody_twice_nobody_missing,
    play,
)

PATH = "dispatcher/play"
WORLD = """
[rate]
allowed = 400
window_seconds = 2.0
[world.shares]
ended = 1
active = 1
"""
SECRETS = ["sandbox-secret", "second-secret-5Q", "third-secret-8Z"]


def waited(process, log, words, seconds=60.0):
    """Wait until the log has some words."""
    end = time.monotonic() + seconds
    while words not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None, f"the run ended before it said {words}"
        assert time.monotonic() < end, f"the log never said {words}"
        time.sleep(0.05)


def start_process(played, *more):
    """Start a run with its own interpreter, so that its arguments are visible in ``/proc``."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *played.command(*more)], stdout=pipe, stderr=pipe, text=True, cwd=ROOT,
        env={**clean_environment(), **played.environment},
    )  # fmt: skip


def rotate(sandbox, secret):
    """The platform knows the client by another secret, and its old tokens are gone."""
    sandbox.post("client_secret", client_secret=secret)
    sandbox.post("expire_tokens")


def test_a_rotated_secret_is_picked_up_without_a_contact_lost_or_sent_twice(tmp_path):
    """First Vault has it before the platform does, which nobody notices; then the other way round.

    Where the platform was first the run is halted until Vault has the secret, too.
    """
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(WORLD)
    folder = tmp_path / "bao"
    folder.mkdir()
    with openbao(folder) as bao, play(tmp_path, scenario, 360) as played:
        bao.write(PATH, client_id="sandbox-client", client_secret=SECRETS[0])
        played.settings, secret_id = described(bao, tmp_path)
        played.environment = {"VAULT_ADDR": bao.url}
        shown = check(played)
        process = start_process(played, "--once")
        sandbox, log = played.sandbox, played.log
        sandbox.wait_for_effects(60)
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        bao.write(PATH, client_id="sandbox-client", client_secret=SECRETS[1])
        rotate(sandbox, SECRETS[1])
        sandbox.wait_for_effects(150)
        assert "run.halted" not in log.read_text()
        rotate(sandbox, SECRETS[2])
        waited(process, log, "run.halted")
        bao.write(PATH, client_id="sandbox-client", client_secret=SECRETS[2])
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert_nobody_twice_nobody_missing(played)
        assert_each_ends_as_the_table_says(played)
        written = log.read_text()
    halts = [line for line in written.splitlines() if "run.halted" in line]
    assert [("credentials" in line, PATH in line) for line in halts] == [(True, True)]
    shown_texts = written + out + err + arguments + shown
    assert not [secret for secret in [*SECRETS, secret_id] if secret in shown_texts]


def test_a_sealed_vault_at_the_start_is_waited_for(tmp_path):
    """The run says what is sealed, waits, and begins by itself after the unsealing."""
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(WORLD)
    folder = tmp_path / "bao"
    folder.mkdir()
    with sealable(folder) as bao, play(tmp_path, scenario, 20) as played:
        bao.write(PATH, client_id="sandbox-client", client_secret=SECRETS[0])
        played.settings = {"credentials.source": "vault", "credentials.vault_path": PATH}
        played.environment = {"VAULT_ADDR": bao.url, "VAULT_TOKEN": bao.admin.token}
        bao.admin.sys.seal()
        process = played.start("--once")
        waited(process, played.log, "is sealed (503): unseal it")
        assert not played.sandbox.effects()
        unseal(bao)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert_nobody_twice_nobody_missing(played)
        assert bao.admin.token not in out + err + played.log.read_text()


def test_a_bearer_token_that_something_else_keeps_fresh(tmp_path):
    """The dispatcher never asks for one; when it ends the run waits for the next one."""
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(WORLD)
    file = tmp_path / "token"
    with play(tmp_path, scenario, 120) as played:
        played.settings = {"credentials.source": "file", "credentials.token_file": file}
        played.environment = {}
        tokens = [issued(played.sandbox)]
        file.write_text(tokens[0])
        process = played.start("--once")
        played.sandbox.wait_for_effects(30)
        played.sandbox.post("expire_tokens")
        waited(process, played.log, "run.halted")
        tokens.append(issued(played.sandbox))
        file.write_text(tokens[1] + "\n")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert_nobody_twice_nobody_missing(played)
        assert played.sandbox.counts()["answers"]["token"] == {"200": 2}
        shown_texts = out + err + played.log.read_text()
    assert "check what should renew it" in shown_texts
    assert not [token for token in tokens if token in shown_texts]


def issued(sandbox):
    """A token, as whatever keeps it fresh gets one."""
    request = urllib.request.Request(
        f"{sandbox.url}/api/v2/oauth/token", data=b"grant_type=client_credentials"
    )
    pair = base64.b64encode(f"sandbox-client:{SECRETS[0]}".encode()).decode()
    request.add_header("Authorization", f"Basic {pair}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["access_token"]


def described(bao, folder):
    """The settings of a login by AppRole, and its secret id, which is in a file."""
    role_id, secret_id = bao.approle("play", secret_id_num_uses=2)
    file = folder / "secret-id"
    file.write_text(secret_id)
    settings = {
        "source": "vault",
        "vault_path": PATH,
        "vault_auth": "approle",
        "vault_role_id": role_id,
        "vault_secret_id_file": file,
        "vault_ca_bundle": bao.ca_bundle,
    }
    return {f"credentials.{key}": value for key, value in settings.items()}, secret_id


def check(played):
    """What `check --show --online` prints for the same settings."""
    command = played.command()
    command[command.index("run")] = "check"
    environment = {**clean_environment(), **played.environment}
    ended = forked_process.run([*command, "--show", "--online"], environment, 120)
    assert ended.returncode == 0, ended.stderr
    assert f'credentials.vault_path = "{PATH}"' in ended.stdout
    return ended.stdout + ended.stderr
