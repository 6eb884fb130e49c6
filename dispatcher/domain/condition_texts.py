"""What each cause of a condition means to an operator: its title, its urgency and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dispatcher.domain.condition import Cause, Condition, Finding

RUNBOOK = "docs/runbook.md"
"""Where the runbook is, unless ``telemetry.runbook_url`` names another place."""


class Priority(StrEnum):
    """How urgent a cause is: P1 wakes somebody, P3 waits for working hours."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    NONE = "none"
    """Nothing is wrong."""


class Impact(StrEnum):
    """What a cause does to the people of the campaign."""

    STOPPED = "nobody is written to"
    DELAYED = "some people are written to late, or not at all"
    NONE = "nobody is delayed"


@dataclass(frozen=True, slots=True)
class CauseText:
    """The words for a cause.

    ``steps`` are what to do, in this order. ``granted_in`` is where a missing grant is granted, in
    both dialects; empty if the cause is no missing grant.
    """

    title: str
    priority: Priority
    effect: Impact
    steps: tuple[str, ...]
    granted_in: str = ""


_SCOPES_IN = (
    "the OAuth client's scopes in the organisation's admin pages; in Genesys Cloud: Admin > "
    "Integrations > OAuth, and Authorized Applications if the organisation enforces scopes"
)
_ROLES_IN = (
    "the roles of the OAuth client in the organisation's admin pages; in Genesys Cloud: Admin > "
    "People & Permissions > Roles / Permissions, in a role of Admin > Integrations > OAuth > Roles"
)
_DIVISIONS_IN = (
    "the divisions of the OAuth client's roles in the organisation's admin pages; in Genesys "
    "Cloud: Admin > Integrations > OAuth, the client's tab Roles"
)
_RESUMES = "The run resumes with its next probe; a restart is not necessary."
_REPLAY = "When the cause is removed, run `dispatcher parked replay --reason REASON`."

TEXTS: Mapping[Cause, CauseText] = {
    Cause.CREDENTIALS: CauseText(
        "The platform refuses the client id and secret",
        Priority.P1,
        Impact.STOPPED,
        (
            (
                "Compare the client id and secret with those of the OAuth client: was the secret "
                "rotated, or the client deleted?"
            ),
            (
                'Store the right ones in the configured place. With credentials.source = "env" set '
                "the variables and restart."
            ),
            "Run `dispatcher check --online`.",
        ),
    ),
    Cause.UNAUTHORIZED: CauseText(
        "The platform refuses tokens that it has just issued",
        Priority.P1,
        Impact.STOPPED,
        (
            "Check whether the OAuth client is disabled or restricted to some addresses.",
            (
                "Check that the API and the token host belong to the same region (platform.region, "
                "or base_url and login_url)."
            ),
            "Give the correlation id to the support of the platform.",
        ),
    ),
    Cause.SCOPE_MISSING: CauseText(
        "The OAuth client lacks a scope",
        Priority.P1,
        Impact.STOPPED,
        (
            "Read in the evidence which scope is missing, and where it is granted.",
            "Grant it to the OAuth client, or ask its administrator.",
            _RESUMES,
        ),
        _SCOPES_IN,
    ),
    Cause.PERMISSION: CauseText(
        "The roles of the OAuth client lack a permission",
        Priority.P1,
        Impact.STOPPED,
        (
            "Read in the evidence which permission is missing, and where it is granted.",
            "Add it to a role of the OAuth client. It may take effect after some minutes.",
            _RESUMES,
        ),
        _ROLES_IN,
    ),
    Cause.DIVISION: CauseText(
        "The roles of the OAuth client do not include a division",
        Priority.P1,
        Impact.STOPPED,
        (
            "Find the division of the conversations in the source.",
            "Assign the role to the OAuth client in that division, too.",
            _RESUMES,
        ),
        _DIVISIONS_IN,
    ),
    Cause.FORBIDDEN: CauseText(
        "The platform forbids sends, and does not name what is missing",
        Priority.P1,
        Impact.STOPPED,
        (
            "Run `dispatcher check --online`, and compare what is granted with what is required.",
            "Check the permissions and divisions of the roles of the OAuth client.",
            "Give the correlation id to the support of the platform.",
        ),
        _ROLES_IN,
    ),
    Cause.PLATFORM_DOWN: CauseText(
        "The platform cannot be reached, or answers with nothing but errors",
        Priority.P1,
        Impact.STOPPED,
        (
            "Look at the status page of the platform.",
            "Read in the evidence whether the API or the token requests fail, and how.",
            "Check network, DNS and proxy of this machine with `dispatcher check --online`.",
            (
                "Nothing is lost: the contacts are tried again. When it is over, look for contacts "
                "that were parked as `exhausted`."
            ),
        ),
    ),
    Cause.FAILURES: CauseText(
        "Too many contacts failed, so the run ends",
        Priority.P1,
        Impact.STOPPED,
        (
            "Run `dispatcher status` and read for which reasons contacts were parked or refused.",
            "Remove the cause, replay these contacts, and start the run again.",
        ),
    ),
    Cause.SUSPICIOUS: CauseText(
        "Most contacts are refused for the same reason, which is probably not their own",
        Priority.P1,
        Impact.STOPPED,
        (
            "Read the refusal in the evidence, and the settings that it names.",
            "Correct the setting and restart.",
            "If the refusals are right, run `dispatcher resume --suspicious`.",
        ),
    ),
    Cause.LEDGER_AWAY: CauseText(
        "The server of the ledger does not answer",
        Priority.P1,
        Impact.STOPPED,
        (
            (
                "Look at the database: is its primary gone, or only its standby, for which commits "
                "wait? If only the standby is gone, promote nothing: start it."
            ),
            "The run goes on by itself when it answers; nothing is sent twice, and nothing lost.",
            "After `ledger.away_minutes` the run ends with exit code 4.",
        ),
    ),
    Cause.LEDGER_DISK: CauseText(
        "The disk of the ledger is nearly full",
        Priority.P2,
        Impact.DELAYED,
        (
            "Find out what fills the disk, and make room. Do not delete the ledger.",
            "Move old campaigns out of the ledger with `dispatcher ledger prune`.",
            "When the disk is full the run ends with exit code 4; no contact is lost.",
        ),
    ),
    Cause.THROTTLED: CauseText(
        "The platform answers 429 for long: nothing or little is sent",
        Priority.P2,
        Impact.DELAYED,
        (
            "Read in the evidence which endpoints are held, and for how long.",
            (
                "With a limit_key: ask the support of the platform for a higher limit of this "
                "endpoint; a daily limit ends by itself."
            ),
            (
                "Without one: look for another program that uses up the quota of the OAuth client "
                "(`quota.others`), and at the status page of the platform."
            ),
            "Do not restart: the contacts wait, and are sent to when the platform permits it.",
        ),
    ),
    Cause.PLATFORM_ERRORS: CauseText(
        "The platform answers many requests with errors",
        Priority.P2,
        Impact.DELAYED,
        (
            "Look at the status page of the platform.",
            "Look at `api.requests` by `status` and `endpoint`: which requests fail?",
            "Give the correlation id to the support of the platform.",
        ),
    ),
    Cause.PLATFORM_SLOW: CauseText(
        "The platform answers slowly, or not in time",
        Priority.P2,
        Impact.DELAYED,
        (
            "Look at the status page of the platform, and at `api.latency` by `endpoint`.",
            (
                "Compare with another machine: `loop.lag` shows a slow machine, a slow proxy "
                "delays all requests."
            ),
            "Sends that time out are in doubt; they are resolved without an operator.",
        ),
    ),
    Cause.RETRY_LOOP: CauseText(
        "The platform refuses sends repeatedly, although the state of the session permits them",
        Priority.P2,
        Impact.DELAYED,
        (
            (
                "Run `dispatcher parked list --reason retry_loop`, and `dispatcher explain` for "
                "one of the contacts."
            ),
            "Give their correlation ids to the support of the platform.",
            "Run `dispatcher parked replay --reason retry_loop` when the cause is removed.",
        ),
    ),
    Cause.SUPPRESSION_LIST: CauseText(
        "The suppression list (opt-out list) is damaged, or does not fit the contacts",
        Priority.P2,
        Impact.DELAYED,
        (
            "Read `suppression.kept_last` or `suppression.unproved` in the log.",
            "Write the list again (rules.suppression_file); it is read without a restart.",
            (
                "Until then the last good list is in force: people who opted out since then may be "
                "written to. Pause the campaign if that must not happen."
            ),
        ),
    ),
    Cause.CLIENT_HALTED: CauseText(
        "One of several OAuth clients is halted",
        Priority.P2,
        Impact.DELAYED,
        (
            "Read in the evidence which client is halted, and for which reason.",
            "Do what the runbook says about that reason. The other clients go on.",
        ),
        "the admin pages of the OAuth client that the evidence names",
    ),
    Cause.SOURCE_STALLED: CauseText(
        "The source should have rows, and none come",
        Priority.P2,
        Impact.DELAYED,
        (
            (
                "Read in the evidence why the source or a part of it cannot be read, or since when "
                "it is silent."
            ),
            (
                "If the evidence names a server, check that it runs and can be reached from here: "
                "`dispatcher check --online` opens it. It is waited for; no restart is needed."
            ),
            "If it names a file, check the export that writes it, and its mount.",
            "If it names refused posts, correct the client by the status of the answer.",
            "If it is right that no rows come, increase source.expected_every_minutes.",
        ),
    ),
    Cause.NO_PROGRESS: CauseText(
        "Contacts are due, nothing moves, and no cause is known",
        Priority.P2,
        Impact.STOPPED,
        (
            "Read in the evidence since when, and what the run waits for.",
            "Read the last lines of the log before that time.",
            (
                "Write down what its threads do: `py-spy dump --pid PID` (`dispatcher status` "
                "shows the pid)."
            ),
            (
                "Restart the dispatcher. That is safe: the ledger has every contact, and nobody "
                "gets a message twice."
            ),
            "Report it as a bug, with the log and the dump.",
        ),
    ),
    Cause.ROWS_REJECTED: CauseText(
        "Most rows of the source are rejected",
        Priority.P2,
        Impact.DELAYED,
        (
            "Read in the evidence the most frequent reason, and the column.",
            (
                "Run `dispatcher rejected export --out bad.csv` (with several campaigns also "
                "`--campaign NAME`): it lists the rows and the reason of each."
            ),
            "Correct the export that writes the source, or the setting that names the column.",
            (
                "Run `dispatcher check --source`, then read the corrected file. Rows that were "
                "good before are recognised as duplicates."
            ),
        ),
    ),
    Cause.TOKEN_UNSTABLE: CauseText(
        "Access tokens do not last, or are hard to get",
        Priority.P3,
        Impact.DELAYED,
        (
            (
                "Check whether another program uses the same OAuth client: on some platforms a new "
                "token ends the older one."
            ),
            "Check the duration of tokens in the settings of the OAuth client.",
            "Look at `token.requests` by `status`, and at `token.latency`.",
        ),
    ),
    Cause.SESSIONS_CLOSING: CauseText(
        "Many sessions close between their state check and the send",
        Priority.P3,
        Impact.DELAYED,
        (
            "Look at `state.age`: how long after its state check does a send leave?",
            (
                "With step `open`: look for another program that opens conversations with the same "
                "people, and for external contact ids that changed."
            ),
            "Nobody has to act: these contacts are checked again. They need more requests.",
        ),
    ),
    Cause.QUOTA_SHARED: CauseText(
        "Another program uses the quota of this OAuth client",
        Priority.P3,
        Impact.DELAYED,
        (
            "Find the program that uses the same OAuth client, and give it one of its own.",
            "Look at `quota.others` and `quota.own`.",
            "Or set platform.requests_per_minute to the part of the quota that is left.",
        ),
    ),
    Cause.CONTACTS_PARKED: CauseText(
        "Many contacts were parked, and wait for an operator",
        Priority.P3,
        Impact.DELAYED,
        (
            "Run `dispatcher parked list` and read the reasons.",
            "Remove the cause that the runbook names for the reason.",
            _REPLAY,
        ),
    ),
    Cause.DOUBTS_PENDING: CauseText(
        "Many sends have no clear answer",
        Priority.P3,
        Impact.DELAYED,
        (
            "Run `dispatcher status`: it shows what these contacts wait for, and until when.",
            "Find out what was wrong with the platform or the network at that time.",
            "Do not send to them otherwise: they may have got the message.",
        ),
    ),
    Cause.LEDGER_SLOW: CauseText(
        "The disk of the ledger is slow",
        Priority.P3,
        Impact.DELAYED,
        (
            "Look at `ledger.commit` and at what else writes to the disk.",
            "Move the ledger to a local disk.",
            "With PostgreSQL look at its disk, the network to it, and its synchronous standby.",
        ),
    ),
    Cause.TELEMETRY_LOSSY: CauseText(
        "Metrics are lost on the way to the Datadog agent",
        Priority.P3,
        Impact.NONE,
        (
            (
                "Check that the agent runs, and that telemetry.statsd_host and statsd_port, or "
                "statsd_socket, are its own."
            ),
            "Read `statsd.undelivered` in the log. The log and `dispatcher status` lack nothing.",
        ),
    ),
    Cause.SINK_BEHIND: CauseText(
        "Lineage does not go out to a sink",
        Priority.P3,
        Impact.NONE,
        (
            "Read in the evidence which sink fails, and why.",
            "Run `dispatcher check --online`: it opens each sink and names what it lacks.",
            "Nothing is lost: what waits goes out as soon as the sink takes it.",
        ),
    ),
    Cause.PAUSED: CauseText(
        "An operator paused the campaign",
        Priority.NONE,
        Impact.NONE,
        ("Run `dispatcher resume` when it may go on.",),
    ),
    Cause.QUIET_HOURS: CauseText(
        "All contacts wait for the end of the quiet hours",
        Priority.NONE,
        Impact.NONE,
        ("Nobody has to act: the contacts are sent to when their quiet hours end.",),
    ),
    Cause.SOURCE_IDLE: CauseText(
        "There is nothing to do: every contact is final",
        Priority.NONE,
        Impact.NONE,
        ("Nobody has to act: new rows of the source are read when they come.",),
    ),
    Cause.OK: CauseText("Nothing is wrong", Priority.NONE, Impact.NONE, ("Nobody has to act.",)),
}
"""The words for every cause."""


def runbook_link(cause: Cause, url: str = "") -> str:
    """Return the address of a cause's section in the runbook, which is at ``url``."""
    return f"{url.partition('#')[0] or RUNBOOK}#condition-{cause}"


def headline(condition: Condition) -> str:
    """Return the condition in one line: its cause, its title and its evidence."""
    return f"{condition.cause}: {TEXTS[condition.cause].title} ({condition.primary.words})"


def granted_in(finding: Finding) -> str:
    """Return where a missing grant is granted; empty if the evidence says it, or none lacks."""
    return "" if "granted in:" in finding.words else TEXTS[finding.cause].granted_in
