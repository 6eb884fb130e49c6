"""The keys of a terminal, one by one and without Enter."""

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END = "up", "down", "page-up", "page-down", "home", "end"
ENTER, ESCAPE, BACKSPACE = "enter", "escape", "backspace"

_NAMES = {
    b"[A": UP, b"OA": UP, b"[B": DOWN, b"OB": DOWN, b"[5~": PAGE_UP, b"[6~": PAGE_DOWN,
    b"[H": HOME, b"OH": HOME, b"[1~": HOME, b"[F": END, b"OF": END, b"[4~": END,
}  # fmt: skip
_CONTROLS = {
    "\r": ENTER, "\n": ENTER, "\x7f": BACKSPACE, "\b": BACKSPACE, "\x15": "", "\x0c": "",
}  # fmt: skip
_ESCAPE = 0x1B
_LONGEST = 4096
_REST_SECONDS = 0.05
"""How long the rest of a key is waited for: over ssh it may come later than its beginning."""


@contextmanager
def single_keys(terminal: int) -> Iterator[None]:
    """Let a terminal give each key at once, and not show it, while the block runs."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def read_keys(terminal: int) -> list[str] | None:
    """Return the keys that were typed, by name or as their character; None: it was closed."""
    typed = os.read(terminal, _LONGEST)
    if not typed:
        return None
    while _is_part(typed) and select.select([terminal], [], [], _REST_SECONDS)[0]:
        more = os.read(terminal, _LONGEST)
        if not more:
            break
        typed += more
    return list(decode(typed))


def _is_part(typed: bytes) -> bool:
    """Return True if the last key may not be complete."""
    start = typed.rfind(b"\x1b")
    if start >= 0 and (rest := typed[start + 1 :]) in (b"", b"[", b"O", b"[5", b"[6", b"[1", b"[4"):
        return len(rest) < _LONGEST
    try:
        typed.decode()
    except UnicodeDecodeError as error:
        return error.end == len(typed)
    return False


def decode(typed: bytes) -> Iterator[str]:
    """Yield the keys of what a terminal sent; sequences that mean no key of ours are dropped."""
    while typed:
        if typed[0] == _ESCAPE:
            sequence = _sequence(typed)
            typed = typed[1 + len(sequence) :]
            if not sequence:
                yield ESCAPE
            elif sequence in _NAMES:
                yield _NAMES[sequence]
            continue
        end = typed.find(b"\x1b")
        part, typed = (typed, b"") if end < 0 else (typed[:end], typed[end:])
        for character in part.decode(errors="ignore"):
            key = _CONTROLS.get(character, character)
            if key in (ENTER, BACKSPACE) or (key and key.isprintable()):
                yield key


def _sequence(typed: bytes) -> bytes:
    """Return what follows an escape and belongs to it."""
    if typed[1:2] == b"O":
        return typed[1:3]
    if typed[1:2] != b"[":
        return b""
    for place in range(2, len(typed)):
        if 0x40 <= typed[place] <= 0x7E:  # noqa: PLR2004 - the final bytes of a sequence
            return typed[1 : place + 1]
    return typed[1:]
