"""The append-only log of the messages that took effect: the oracle of every test."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import orjson

EffectKind = Literal["notified", "threaded", "linked", "unlinked"]

FLUSH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Effect:
    """One message that took effect; ``time`` in seconds since the epoch."""

    kind: EffectKind
    conversation_id: str
    previous_id: str | None
    external_contact_id: str | None
    to: str | None
    text: str
    time: float


class EffectLog:
    """Writes one JSON line per effect, late by ``FLUSH_SECONDS`` at most.

    ``on_effect`` is called after each effect with the number of effects so far.
    """

    def __init__(
        self, path: Path | None, *, with_text: bool, on_effect: Callable[[int], None]
    ) -> None:
        self._file = None if path is None else path.open("ab", buffering=0)
        self._with_text = with_text
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self.count = 0
        self._on_effect = on_effect

    def add(self, effect: Effect) -> str:
        """Write one effect; return the id of its message."""
        self.count += 1
        message_id = f"m-{self.count:08x}"
        if self._file is not None:
            self._lines.append(self._line(effect, message_id))
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._on_effect(self.count)
        return message_id

    def _line(self, effect: Effect, message_id: str) -> bytes:
        line: dict[str, object] = {
            "n": self.count,
            "time": effect.time,
            "kind": effect.kind,
            "conversationId": effect.conversation_id,
            "previousConversationId": effect.previous_id,
            "externalContactId": effect.external_contact_id,
            "to": effect.to,
            "messageId": message_id,
            "text_sha256": sha256(effect.text.encode()).hexdigest(),
        }
        if self._with_text:
            line["text"] = effect.text
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    def flush(self) -> None:
        """Write every line so far to the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is None or not self._lines:
            return
        data = memoryview(b"".join(self._lines))
        self._lines.clear()
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Flush, and close the file."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None
