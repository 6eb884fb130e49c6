"""The screen of `dispatcher top`: what is shown, and what a key does, without a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from dispatcher.app.control.watcher import Sight
from dispatcher.cli import formatting
from dispatcher.cli.tables import printable
from dispatcher.cli.top import keys
from dispatcher.cli.top.history_view import history_lines
from dispatcher.cli.top.layout import fit, wrap
from dispatcher.cli.top.sections import sections
from dispatcher.cli.top.view import View
from dispatcher.ports.snapshot import DRAINING, CampaignSnapshot, RatesSnapshot

MESSAGE_SECONDS = 15.0
"""How long the result of a key is shown."""
MOST_LOOKS = 300
"""How many earlier rates are kept for the charts."""
LONGEST_NAME = 512
"""The most characters of a contact's key that are typed."""

HELP = """\
KEYS
  p         pause: the campaign begins no contact, also after a restart;
            those in flight are finished
  r         resume a paused campaign where it stopped
  d         drain: the run begins no contact, finishes those in flight,
            and ends
  /         look at one contact: type its key, conversation id or external
            contact id, then Enter; Esc leaves it
  up, down  select a campaign, where there are several (also k and j); the
            first row is all of them. p, r and what is below the table
            concern the selected ones
  ?         this help; scroll with the arrows, leave it with q
  q         quit; the run goes on

p, r and d ask before they do anything. y does it, every other key does not.

WHAT IS SHOWN
  condition the one cause that explains best what is wrong, its evidence,
            and what to do; unknown while the run or its ledger is silent
  SENT      people who got a message, in all runs of the campaign
  LEFT      contacts of the ledger that are not final: due, due later,
            being processed (BUSY), in doubt
  PER S     contacts that became final in a second, over 10 seconds
  TIME LEFT LEFT at the rate of the last minute; rows that are not read yet
            come on top
  failures  the three that are counted apart, in this run: scope errors,
            closed-session conflicts, contacts parked as retry loops
  quota     requests a minute in the last whole window: ours, those of
            other programs with the same client, and what nobody used
  waiting   why contacts wait, and until when the first and the last of
            them do
  course    the rates since this view was opened, if there is room for them
  ledger    AWAY: its server does not answer, and nothing is sent until it
            does

Times are in UTC. No id and no text of a person is shown, except of the
contact that you look at.
"""

_PAGE, _FAR = 10, 1_000_000
_STEPS = {
    keys.UP: -1, "k": -1, keys.DOWN: 1, "j": 1, keys.PAGE_UP: -_PAGE, "b": -_PAGE,
    keys.PAGE_DOWN: _PAGE, " ": _PAGE, keys.HOME: -_FAR, keys.END: _FAR,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quit:
    """Leave; the run goes on."""


@dataclass(frozen=True, slots=True)
class SetPaused:
    """Pause campaigns, or resume them."""

    campaigns: tuple[str, ...]
    paused: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """Let the run drain and end."""


@dataclass(frozen=True, slots=True)
class Look:
    """Find the history of a contact."""

    name: str


Action = Quit | SetPaused | Drain | Look
"""What a key asks for."""


@dataclass(slots=True)
class Screen:
    """What is on the screen beside the run: a question, a contact, or the help."""

    sight: Sight = field(default_factory=Sight)
    ascii_only: bool = False
    selected: int = 0
    _question: Action | None = None
    _typed: str | None = None
    _pages: str | Sequence[Mapping[str, Any]] | None = None
    _offset: int = 0
    _message: str = ""
    _message_at: float = 0.0
    _course: list[RatesSnapshot] = field(default_factory=list)

    # what it shows

    def frame(self, width: int, height: int, now: float) -> list[Text]:
        """Return the lines of the whole screen."""
        foot = self._foot(width, now)
        room = max(1, height - len(foot))
        if self._pages is None:
            view = View(now, width, self.selected, self.ascii_only, self._course)
            body = fit(sections(self.sight, view), width, room)
        else:
            lines = self._page_lines(width)
            self._offset = max(0, min(self._offset, len(lines) - room))
            body = lines[self._offset : self._offset + room]
        lines = [*body, *[Text()] * (room - len(body)), *foot][-height:]
        return list(map(_in_ascii, lines)) if self.ascii_only else lines

    def _page_lines(self, width: int) -> list[Text]:
        if isinstance(self._pages, str):
            return [part for line in self._pages.splitlines() for part in wrap(Text(line), width)]
        return history_lines(self._pages or (), width)

    def _foot(self, width: int, now: float) -> list[Text]:
        if self._question is not None:
            return wrap(
                Text(f"{self._question_words(self._question)} y/N ", style="bold yellow"), width
            )
        if self._typed is not None:
            prompt = "Contact (key, conversation id or external id): "
            shown = printable(self._typed)[-max(1, width - len(prompt) - 1) :]
            return wrap(Text(f"{prompt}{shown}_", style="bold"), width)
        foot = []
        if self._message and 0 <= now - self._message_at < MESSAGE_SECONDS:
            foot = wrap(Text(self._message, style="bold"), width)[:3]
        if self._pages is not None:
            return [*foot, _keys("up/down scroll", "q back", width=width)]
        several = ["up/down campaign"] if self._campaigns()[1:] else []
        names = ["p pause", "r resume", "d drain", "/ contact", *several, "? help", "q quit"]
        return [*foot, _keys(*names, width=width)]

    def say(self, message: str, now: float) -> None:
        """Show a result for some seconds."""
        self._message, self._message_at = printable(message), now

    def show_contacts(self, contacts: Sequence[Mapping[str, Any]]) -> None:
        """Show the history of contacts until it is left."""
        self._pages, self._offset = contacts, 0

    # what a key does

    def press(self, key: str, now: float) -> Action | None:
        """Take a key; return what it asks for, if anything."""
        if self._question is not None:
            action, self._question = self._question, None
            if key in ("y", "Y"):
                return action
            self.say("Nothing was done.", now)
            return None
        if self._typed is not None:
            return self._type(key)
        if self._pages is not None:
            self._page(key)
            return None
        return self._command(key, now)

    @property
    def asks(self) -> bool:
        """Whether a question waits for its answer: what was typed before it is none."""
        return self._question is not None

    def _command(self, key: str, now: float) -> Action | None:
        match key:
            case "q" | "Q":
                return Quit()
            case "?" | "h":
                self._pages, self._offset = HELP, 0
            case "/":
                self._typed = ""
            case keys.UP | "k":
                self.selected = max(0, self.selected - 1)
            case keys.DOWN | "j":
                last = len(self._campaigns())
                self.selected = min(self.selected + 1, last if last > 1 else 0)
            case "p" | "r":
                self._ask_paused(now, paused=key == "p")
            case "d":
                self._ask_drain(now)
        return None

    def _ask_paused(self, now: float, *, paused: bool) -> None:
        chosen = self._chosen()
        names = tuple(one.name for one in chosen if (one.paused_since is not None) is not paused)
        if names:
            self._question = SetPaused(names, paused)
        elif not chosen:
            self.say("No campaign is known yet.", now)
        else:
            self.say("That is paused already." if paused else "Nothing is paused there.", now)

    def _ask_drain(self, now: float) -> None:
        snapshot = self.sight.snapshot
        if snapshot is None or not snapshot.pid or self.sight.ended:
            self.say("No run answers: there is nothing to drain.", now)
        elif snapshot.phase == DRAINING:
            self.say("The run drains already.", now)
        else:
            self._question = Drain()

    def _type(self, key: str) -> Action | None:
        typed = self._typed or ""
        if key == keys.ESCAPE:
            self._typed = None
        elif key == keys.BACKSPACE:
            self._typed = typed[:-1]
        elif key == keys.ENTER:
            self._typed = None
            return Look(typed.strip()) if typed.strip() else None
        elif len(key) == 1 and len(typed) < LONGEST_NAME:
            self._typed = typed + key
        return None

    def _page(self, key: str) -> None:
        if key in _STEPS:
            self._offset = max(0, self._offset + _STEPS[key])
        elif key in ("q", "Q", "?", keys.ESCAPE, keys.ENTER):
            self._pages = None

    def _campaigns(self) -> Sequence[CampaignSnapshot]:
        return self.sight.snapshot.campaigns if self.sight.snapshot is not None else ()

    def _chosen(self) -> Sequence[CampaignSnapshot]:
        campaigns = self._campaigns()
        if 0 < self.selected <= len(campaigns):
            return [campaigns[self.selected - 1]]
        return campaigns

    def see(self, sight: Sight) -> None:
        """Take what is known of the run now; the same campaign stays selected."""
        before = self._chosen()
        self.sight = sight
        if sight.snapshot is not None and not sight.trouble:
            self._course = [*self._course[-MOST_LOOKS:], sight.snapshot.rates]
        if self.selected:
            names = [one.name for one in self._campaigns()]
            name = before[0].name if len(before) == 1 else ""
            self.selected = names.index(name) + 1 if name in names and len(names) > 1 else 0

    def _question_words(self, action: Action) -> str:
        match action:
            case SetPaused(names, paused):
                what = f"campaign {printable(names[0])}" if len(names) == 1 else _several(names)
                of_next = "No run is there; this is kept for the next one. "
                before = of_next if self.sight.ended else ""
                if paused:
                    return f"{before}Pause {what}? It begins no contact until it is resumed."
                return f"{before}Resume {what}?"
            case _:
                pid = self.sight.snapshot.pid if self.sight.snapshot else 0
                return f"Drain the run (pid {pid})? It finishes what is in flight, and ends."


def _in_ascii(line: Text) -> Text:
    """Return a line of the same width for a terminal that shows ASCII only."""
    names = {"…": "~"}
    line.plain = "".join(c if c.isascii() else names.get(c, "?" * cell_len(c)) for c in line.plain)
    return line


def _several(names: Sequence[str]) -> str:
    return f"{formatting.plural(len(names), 'campaign')} ({', '.join(map(printable, names))})"


def _keys(*names: str, width: int) -> Text:
    text = Text()
    for name in names:
        key, _, what = name.partition(" ")
        text.append("  " if text else "").append(key, style="bold").append(f" {what}")
    text.truncate(width, overflow="ellipsis")
    return text
