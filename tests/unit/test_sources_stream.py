"""Standard input and named pipes."""

import asyncio
import gzip
import os
import subprocess
import sys
import threading
import time
from contextlib import aclosing

import pytest
import zstandard

from dispatcher.ports import SourceError
from dispatcher.sources.files.stream_source import StreamSource
from dispatcher.sources.options import Layout, RowRules

RULES = RowRules(text="Hello")


@pytest.fixture
def pipe():
    """Make a pipe: the end to read, and a file for the end to write.

    Its readers have ended before it is closed: the next pipe may get the same number.
    """
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb", buffering=0) as writer:
        yield read_end, writer
    for reader in readers():
        reader.join(5)
    os.close(read_end)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "source"]


def stream(descriptor, layout=None):
    return StreamSource("-", RULES, layout, descriptor=descriptor).batches({})


def ids(batch):
    return [contact.conversation_id for contact in batch.contacts]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize(
    "data", [b"conversation_id,a\nc1,x\nbad\n", b'{"conversation_id":"c1"}\nbad']
)
async def test_format_and_compression_go_by_the_first_bytes(pipe, pack, data):
    """Nobody needs to say what comes in; there is no place."""
    descriptor, writer = pipe
    writer.write(pack(data))
    writer.close()
    batches = [batch async for batch in stream(descriptor)]
    assert [ids(batch) for batch in batches] == [["c1"]]
    assert [len(batch.rejected) for batch in batches] == [1]
    assert batches[0].rejected[0].file == "-"
    assert batches[0].stream is None


async def test_an_empty_stream(pipe):
    """Nothing in, nothing out, no empty batch either."""
    descriptor, writer = pipe
    writer.close()
    assert [batch.rows async for batch in stream(descriptor)] == [0]


async def test_a_configured_format_is_used(pipe):
    """The argument wins over the first byte."""
    descriptor, writer = pipe
    writer.write(b"[1]\n")
    writer.close()
    (batch,) = [batch async for batch in stream(descriptor, Layout(format="jsonl"))]
    assert batch.rejected[0].reason == "json"


async def test_a_slow_pipe_holds_no_row_back(pipe):
    """Rows come out while the writer is silent, long before a batch is full."""
    descriptor, writer = pipe
    writer.write(b"conversation_id\nc1\n")
    async with aclosing(stream(descriptor)) as batches:
        began = time.monotonic()
        assert ids(await anext(batches)) == ["c1"]
        writer.write(b'c2\nc3\n"half of')
        assert ids(await anext(batches)) == ["c2", "c3"]
        assert time.monotonic() - began < 2
        writer.write(b' a row"\nc5\n')
        batch = await anext(batches)
        assert [(row.line, row.reason) for row in batch.rejected] == [(5, "bad_id")]
        assert ids(batch) == ["c5"]


async def test_a_trickle_holds_no_row_back(pipe):
    """A writer that is never silent for long does not keep the first rows waiting."""
    descriptor, writer = pipe
    ended = threading.Event()

    def trickle():
        writer.write(b"conversation_id\n")
        for number in range(10_000):
            if ended.wait(0.01):
                return
            writer.write(b"c%d\n" % number)

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        async with aclosing(stream(descriptor)) as batches:
            first = await anext(batches)
    finally:
        ended.set()
        thread.join()
    assert 0 < first.rows < 256


async def test_cancelling_ends_a_blocked_reader(pipe):
    """A task that waits for a silent pipe ends at once, and its thread soon after."""
    descriptor, writer = pipe
    writer.write(b"conversation_id\nc1\n")
    batches = stream(descriptor)
    assert ids(await anext(batches)) == ["c1"]
    (blocked,) = readers()
    task = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(blocked.join, 5)
    assert not blocked.is_alive()


def test_a_blocked_standard_input_does_not_keep_the_process():
    """The process ends although nobody closed the pipe that it reads."""
    code = (
        "import asyncio\n"
        "from dispatcher.sources.factory import open_source\n"
        "from dispatcher.sources.options import RowRules\n"
        "async def main():\n"
        "    async for batch in open_source('-', RowRules(text='x')).batches({}):\n"
        "        print(batch.rows)\n"
        "        return\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"conversation_id\nc1\n")
        process.stdin.flush()
        assert process.wait(20) == 0
        assert process.stdout.read() == b"1\n"


async def test_a_named_pipe(tmp_path):
    """A pipe with a name is read like standard input, no matter which side opens it first."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    async with aclosing(StreamSource(str(path), RULES).batches({})) as batches:
        first = asyncio.ensure_future(anext(batches))
        await asyncio.to_thread(path.write_bytes, b"conversation_id\nc1\n")
        assert ids(await first) == ["c1"]
        with pytest.raises(StopAsyncIteration):
            await anext(batches)


async def test_mistakes_are_source_errors(tmp_path, pipe):
    """A pipe that is gone, a descriptor that is closed, a header that will not do."""
    with pytest.raises(SourceError, match="cannot be read"):
        await anext(StreamSource(str(tmp_path / "absent"), RULES).batches({}))
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(SourceError, match="cannot be read"):
        await anext(stream(folder))
    os.close(folder)
    descriptor, writer = pipe
    writer.write(b"x\n1\n")
    with pytest.raises(SourceError, match="conversation_id"):
        await anext(stream(descriptor))
