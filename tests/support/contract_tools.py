"""Compares the files of ``make contract`` with tools of others, which are on PATH.

Spectral and redocly lint the documents, newman plays the collections against a sandbox, and taplo
checks the configurations of the repository with the schema of dispatcher.toml.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from dispatcher.sandbox.openapi.document import APIS
from tests.support.config_schema import ROOT, SCHEMA
from tests.support.sandbox_process import SCENARIOS, sandbox

DOCS = ROOT / "docs"
RULES = 'extends: ["spectral:oas"]\n'


def main():
    with tempfile.TemporaryDirectory() as folder:
        results = list(_results(Path(folder)))
    return int(any(results))


def _results(folder):
    """Yield the exit code of each tool."""
    rules = folder / "spectral.yaml"
    rules.write_text(RULES)
    documents = [str(DOCS / f"openapi-{dialect}.json") for dialect in APIS]
    yield _run("spectral", "lint", "--fail-severity", "warn", "-r", str(rules), *documents)
    yield _run("redocly", "lint", "--extends", "recommended", *documents)
    for dialect in APIS:
        log = folder / f"{dialect}.jsonl"
        with sandbox(SCENARIOS / "bench.toml", log, "--dialect", dialect) as process:
            collection = str(DOCS / f"postman-{dialect}.json")
            yield _run("newman", "run", collection, "--env-var", f"baseUrl={process.url}", "--bail",
                       "--reporter-cli-no-banner")  # fmt: skip
    examples = [*(ROOT / "config").glob("*.toml"), *(ROOT / "config" / "examples").glob("*.toml")]
    yield _run("taplo", "lint", "--schema", f"file://{SCHEMA}", *map(str, examples))


def _run(*command):
    sys.stdout.write(f"$ {' '.join(command)}\n")
    sys.stdout.flush()
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
