"""The lines that `dispatcher sandbox` prints, executed as they are printed."""

import json
import shutil
import subprocess

import pytest

from tests.support.forked_process import Forked, clean_environment

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

CAUSES = {
    "messaging": ["closed", "previous_open", "not_ended", "identity", "scope_masked"],
    "genesys": ["channel", "previous_open", "not_active", "loop", "scope_masked"],
}


@pytest.mark.parametrize("dialect", CAUSES)
def test_the_five_lines_have_the_answers_that_they_promise(dialect):
    command = ["-m", "dispatcher", "sandbox", "--dialect", dialect, "--port", "0"]
    process = Forked(command, clean_environment())
    try:
        printed = []
        while not printed or not printed[-1].startswith("ready"):
            printed.append(process.stdout.readline().rstrip("\n"))
        token = next(line for line in printed if line.startswith("TOKEN="))
        lines = [line for line in printed if line.startswith("curl ")]
        assert len(lines) == 5
        url = next(line.split()[1] for line in printed if line.startswith("control"))
        script = "\n".join([token, *lines, f"curl -s {url}"])
        out = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    finally:
        process.terminate()
        process.wait(10)
        process.close()
    answers = [line for line in out.stdout.splitlines() if line.endswith((" 400", " 409"))]
    assert [line[-3:] for line in answers] == ["400", "409", "409", "409", "409"]
    bodies = [json.loads(line[:-4].removeprefix('{"done":true}')) for line in answers]
    conflicts = [{k: v for k, v in body.items() if k != "contextId"} for body in bodies[1:]]
    assert all(body == conflicts[0] for body in conflicts)
    counts = json.loads(out.stdout.splitlines()[-1].removeprefix('{"done":true}'))
    assert sorted(counts["causes"]) == sorted(CAUSES[dialect])
    assert counts["api_request_times"]
