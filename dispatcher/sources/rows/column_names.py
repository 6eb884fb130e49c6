"""Matches the names of columns in a file with those that the settings use."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from dispatcher.sources.options import MEANINGS, RowRules, normal_name
from dispatcher.sources.rows.opt_out_names import Kind, opt_out_kind
from dispatcher.sources.rows.template import Template, foreign_placeholders

_SYNONYMS = {
    "expires_at": re.compile(
        r"(expir(es?|y|ed|ation|ing)|validity_end|end_of_validity)(_?(at|on|date|time|timestamp))*"
        r"|(valid|good|open|send|best)_?(until|till|to|before|by)|not_?after"
        r"|deadline|(offer_?)?(end|ends)(_?(at|on|date|time|timestamp))+"
    ),
    "not_before": re.compile(
        r"(not|send)_?(before|after|earlier_?than|on_or_after)(_?(at|on|date|time|timestamp))*"
        r"|send_?(at|on|from)|scheduled_?(at|on|for)|valid_?from|earliest(_?send)?"
        r"|(start|starts)(_?(at|on|date|time|timestamp))+"
    ),
    "external_contact_id": re.compile(r"external_?(contact|id|person_?id|customer_?id)"),
}
"""Names that exports use for a column with a meaning."""

_ZONE = re.compile(r"(\w+_)?(time_?zone|tz)(_?(name|id|iana|olson))?")
"""Names that exports use for a column of time zones."""

_ALIKE = 0.88
"""The ratio of `SequenceMatcher` from which on a name is a meaning's name with a typing error."""
_SHORT = 6
"""A meaning whose name is shorter is not compared by ratio: too many words are like it."""
_LONG = 9
"""A meaning's name of so many letters is recognised inside of a longer name."""
_NO_NAME = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class ResolvedColumns:
    """The columns of a file or of an object.

    ``names`` are in the file's order, and those that the settings use are spelled as there.
    ``problems`` are sentences that say what is wrong and what to write. ``taken`` are the names
    that the settings use and that were found. ``as_in_file`` says that the names are those of the
    file, and none is empty.
    """

    names: tuple[str, ...]
    problems: tuple[str, ...]
    taken: frozenset[str]
    as_in_file: bool


class ColumnNames:
    """The names of columns that the settings use, and the names in a file that match them.

    Upper and lower case, blanks, underscores and hyphens make no difference.
    """

    def __init__(self, rules: RowRules) -> None:
        self._attributes = frozenset(rules.attributes)
        self._plain = frozenset(map(normal_name, rules.attributes))
        self._mapped = rules.columns
        opt_out = (*rules.opt_out.opt_out, *rules.opt_out.consent)
        self._named = (*rules.named, *opt_out)
        self._lacks_zone = rules.lacks_zone
        self._opt_out = rules.opt_out
        self._templates = {"text": rules.text, "subject": rules.subject}
        self._spelling: dict[str, str] = {}
        """The name as the settings spell it, by its normal form."""
        for name in self._named:
            self._use(name)
        self.columns = {
            meaning: self._use(rules.column(meaning))
            for meaning in MEANINGS
            if meaning in rules.columns or normal_name(meaning) not in self._plain
        }
        """The column of each meaning that can have one."""
        for name in (*rules.filter, *rules.needed, *self._placeholders(), *rules.present):
            self._use(name)
        by_row = (*rules.columns.values(), *rules.filter, *rules.needed, *opt_out)
        self._needed_cells = tuple(map(self.spelled, by_row))
        present = map(self.spelled, rules.present)
        self.needed = tuple(dict.fromkeys((*self._needed_cells, *present)))
        """The columns that the settings name, which a file must have."""

    @property
    def normal_names(self) -> frozenset[str]:
        """The columns that the settings use, in the form in which names are compared."""
        return frozenset(self._spelling)

    def is_used(self, name: str) -> bool:
        """Return True if the settings use the column with this name of a file."""
        return normal_name(name) in self._spelling

    def spelled(self, name: str) -> str:
        """Return the name under which a column of the settings is in a resolved row."""
        return self._spelling.get(normal_name(name), name)

    def without_meaning(self) -> Iterable[str]:
        """Return the columns that templates and rules use, and that have no meaning."""
        meanings = set(self.columns.values())
        return (name for name in self._used() if name not in meanings)

    def emptied(self) -> Iterable[str]:
        """Return the columns in which a text that means no value must not reach a message.

        These are the columns that templates and rules use. A row without a conversation id is
        rejected, so that column is not one of them.
        """
        return (name for name in self._used() if name != self.columns["conversation_id"])

    def necessary(self) -> frozenset[str]:
        """Return the columns whose missing cell may change who gets which message, and when."""
        return frozenset((*self.columns.values(), *self._needed_cells, *self._used()))

    def _used(self) -> Iterable[str]:
        return dict.fromkeys(map(self.spelled, (*self._named, *self._placeholders())))

    def template(self, text: str | None) -> Template | None:
        """Return a template whose placeholders are names of a resolved row."""
        if text is None:
            return None
        template = Template(text)
        names = {name: self.spelled(self.columns.get(name, name)) for name in template.names}
        return template.renamed(names)

    def is_conversation_id(self, name: str) -> bool:
        """Return True if a file's name is that of the one column that every file needs."""
        return self.spelled(name) == self.columns["conversation_id"]

    def has_look_alike(self, names: Iterable[str]) -> bool:
        """Return True if one of the names looks like a meaning's and is not said to be another."""
        used = self.normal_names
        unclear = (n for n in names if normal_name(n) not in used and not self._is_plain(n))
        return any(True for name in unclear for _ in self._look_alike(name, frozenset()))

    def resolve(self, names: Sequence[str]) -> ResolvedColumns:
        """Match the names of a file; one without a name is an empty string."""
        resolved = tuple(self._resolved(name) for name in names)
        taken = frozenset(self._spelling.values()).intersection(resolved)
        problems = [*self._doubles(names, resolved), *self._beside_templates(names, resolved)]
        problems += self._not_replaced(names)
        for name, own in zip(names, resolved, strict=True):
            if own and own not in taken and not self._is_plain(name):
                problems += self._look_alike(name, taken)
        as_in_file = resolved == tuple(names) and all(resolved)
        return ResolvedColumns(resolved, tuple(problems), taken, as_in_file)

    def suggestion(self, names: Iterable[str]) -> str:
        """Return the name that is most like the conversation id's; empty if none is like it.

        Nothing else is returned, because a line without a header has people's data in it.
        """
        wanted = normal_name(self.columns["conversation_id"])
        alike = {name: _ratio(wanted, normal_name(name)) for name in names if name.strip()}
        best = max(alike, key=alike.__getitem__, default="")
        return best if best and alike[best] >= _SUGGESTED else ""

    def _placeholders(self) -> Iterable[str]:
        for text in self._templates.values():
            for name in Template(text).names if text is not None else ():
                yield self.columns.get(name, name)

    def _use(self, name: str) -> str:
        return self._spelling.setdefault(normal_name(name), name)

    def _is_plain(self, name: str) -> bool:
        return name in self._attributes or normal_name(name) in self._plain

    def _resolved(self, name: str) -> str:
        """Return the settings' spelling of a name that they use, else the name itself."""
        spelled = self._spelling.get(normal_name(name)) if name else None
        is_other = spelled is None or (name in self._attributes and name != spelled)
        return name if spelled is None or is_other else spelled

    def _doubles(self, names: Sequence[str], resolved: Sequence[str]) -> Iterable[str]:
        for own in dict.fromkeys(own for own in resolved if own and resolved.count(own) > 1):
            same = [name for name, other in zip(names, resolved, strict=True) if other == own]
            if len(set(same)) == 1:
                yield f"has {own!r} more than once; rename one of them"
            else:
                quoted = " and ".join(map(repr, same))
                yield (
                    f"has {quoted}, which are the same name: case, blanks, underscores and hyphens "
                    "make no difference; rename one of them"
                )

    def _beside_templates(self, names: Sequence[str], resolved: Sequence[str]) -> Iterable[str]:
        for meaning, template in self._templates.items():
            own = self.columns.get(meaning)
            if template is None or meaning in self._mapped or own not in resolved:
                continue
            name = names[resolved.index(own)]
            yield (
                f"has a column {name!r}, and message.{meaning} is set: the column would be sent "
                f'instead. Write source.attributes = ["{name}"] to send message.{meaning}, or '
                f'source.columns = {{ {meaning} = "{name}" }} to send the column'
            )

    def _not_replaced(self, names: Sequence[str]) -> Iterable[str]:
        for meaning, text in self._templates.items():
            written = {normal_name(n): whole for n, whole in foreign_placeholders(text or "")}
            for name in names:
                if name and (foreign := written.get(normal_name(name))) is not None:
                    yield (
                        f"has a column {name!r}, and message.{meaning} has {foreign}, which would "
                        f"not be replaced by its value. Write {{{name}}}"
                    )

    def _look_alike(self, name: str, taken: frozenset[str]) -> Iterable[str]:
        if self._lacks_zone and _ZONE.fullmatch(_words(name)):
            yield (
                f"has a column {name!r}, which looks like time zones, but quiet hours use one "
                f'time zone for all. Write rules.timezone_column = "{name}" to use it, or '
                f'source.attributes = ["{name}"] if it is something else'
            )
            return
        if kind := opt_out_kind(_words(name)):
            yield _left_out(name, kind, getattr(self._opt_out, kind))
            return
        for meaning in MEANINGS:
            is_same = normal_name(name) == normal_name(meaning)
            is_free = self.columns.get(meaning) not in taken and meaning not in self._mapped
            if is_same or (is_free and _is_like(name, meaning)):
                yield (
                    f"has a column {name!r}, which looks like {meaning} and has no effect. Write "
                    f'source.columns = {{ {meaning} = "{name}" }} to use it, or '
                    f'source.attributes = ["{name}"] if it is something else'
                )
                return


_SUGGESTED = 0.7


def _left_out(name: str, kind: Kind, named: Iterable[str]) -> str:
    """Say of a column which may say that people want no message that it has no effect."""
    value = "yes" if kind == "opt_out" else "no"
    line = ", ".join(f'"{one}"' for one in (*named, name))
    return (
        f"has a column {name!r}, which looks like {_KINDS[kind]}, and people with a {value} there "
        f"would get a message. Write rules.{kind}_columns = [{line}] to leave them out, or "
        f'source.attributes = ["{name}"] if it is something else'
    )


_KINDS = {"opt_out": "an opt-out", "consent": "a consent"}


def spellings(name: str) -> frozenset[str]:
    """Return the usual spellings of a name without blanks, in lower case."""
    words = [word for word in re.split(r"[\s_-]+", name.lower()) if word]
    return frozenset(separator.join(words) for separator in ("", "_", "-"))


def _is_like(name: str, meaning: str) -> bool:
    words = _words(name)
    if meaning in _SYNONYMS and _SYNONYMS[meaning].fullmatch(words):
        return True
    have, want = words.replace("_", ""), normal_name(meaning)
    if len(want) >= _LONG and want in have:
        return True
    return len(want) >= _SHORT and not have[-1:].isdigit() and _ratio(want, have) >= _ALIKE


def _words(name: str) -> str:
    """Return a name in lower case, with underscores between its words."""
    return _NO_NAME.sub("_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)).strip("_").lower()


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
