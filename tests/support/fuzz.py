"""Fuzzes the sandbox with schemathesis, by the document that it serves: ``make fuzz``.

Each dialect gets at least REQUESTS requests. The scenario has no fault and no quota, so that no
answer may be a 5xx; the sandbox's own counts say what was answered.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from base64 import b64encode
from pathlib import Path

from dispatcher.sandbox.openapi.document import APIS
from tests.support.sandbox_client import PAIR
from tests.support.sandbox_process import SCENARIOS, sandbox

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
CONFIG = """
[[operations]]
include-path = "{path}"
headers = {{ Authorization = "Basic {basic}" }}
"""
MOST_ROUNDS = 10


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    # It runs in the folder of its configuration, where a path relative to this one is not valid.
    arguments.add_argument("schemathesis", type=lambda path: str(Path(path).absolute()))
    arguments.add_argument("--requests", type=int, default=2000, help="in each dialect")
    arguments.add_argument("--examples", type=int, default=150, help="of each operation")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    return max([_fuzz(dialect, options) for dialect in APIS])


def _fuzz(dialect, options):
    """Fuzz one dialect; return 0 if nothing was found."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "effects.jsonl"
        config = Path(folder) / "schemathesis.toml"
        basic = b64encode(PAIR).decode()
        config.write_text(CONFIG.format(path=APIS[dialect].token_path, basic=basic))
        with sandbox(SCENARIOS / "bench.toml", log, "--dialect", dialect) as process:
            found = 0
            for number in range(MOST_ROUNDS):
                found = max(found, _round(process, dialect, config, options, number))
                counts = process.counts()
                if counts["requests"] >= options.requests:
                    break
    statuses = {}
    for by_status in counts["answers"].values():
        for status, answers in by_status.items():
            statuses[status] = statuses.get(status, 0) + answers
    broken = sum(number for status, number in statuses.items() if status >= "500")
    unanswered = counts["requests"] - sum(statuses.values())
    result = (
        f"{dialect}: {counts['requests']:,} requests of {len(APIS[dialect].operations)} "
        f"operations, {broken} answers with 5xx, {unanswered} without an answer, "
        f"{dict(sorted(statuses.items()))}"
    )
    sys.stdout.write(result + "\n")
    enough = counts["requests"] >= options.requests
    return int(bool(found or broken or unanswered or not enough))


def _round(process, dialect, config, options, number):
    token = f"Authorization: Bearer {_token(process, dialect)}"
    command = [
        options.schemathesis, "--config-file", str(config), "run",
        f"{process.url}/openapi.json", "--header", token,
        "--checks", ",".join(CHECKS), "--max-examples", str(options.examples),
        "--seed", str(options.seed + number), "--request-timeout", "5", "--warnings", "off",
        "--phases", "examples,coverage,fuzzing", "--max-redirects", "0", "--no-color",
    ]  # fmt: skip
    return subprocess.run(command, check=False, cwd=config.parent).returncode


def _token(process, dialect):
    request = urllib.request.Request(
        process.url + APIS[dialect].token_path,
        data=b"grant_type=client_credentials",
        headers={"Authorization": "Basic " + b64encode(PAIR).decode()},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["access_token"]


if __name__ == "__main__":
    sys.exit(main())
