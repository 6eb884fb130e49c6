"""The settings of the `genesys` dialect: what it needs, and what does not go with it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dispatcher.app.dialects import text_limit, token_options, token_url
from dispatcher.app.sources import make_source
from dispatcher.app.wiring import make_policy
from dispatcher.cli import cli
from dispatcher.domain.contact import TEXT_LIMIT
from dispatcher.domain.decision import BargeIn, IdentityRule
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.reconcile_policy import EvidenceKind
from dispatcher.platforms.genesys.permissions import LOOK_BACK, READ, SCOPES, SEND, TAG
from dispatcher.platforms.genesys.regions import REGIONS
from dispatcher.platforms.missing_grants import GENESYS_PAGES, MESSAGING_PAGES
from dispatcher.settings import PlatformSettings, SettingsError, load, warnings

SECRETS = {"DISPATCHER_CLIENT_ID": "id", "DISPATCHER_CLIENT_SECRET": "secret"}
SHIPPED = Path(__file__).parents[2] / "config" / "genesys.toml"
USUAL_SCOPES = PlatformSettings.model_fields["write_scopes_any_of"].default
OWN = {
    "campaign": "c1",
    "source.path": "-",
    "platform.dialect": "genesys",
    "platform.region": "usw2.pure.cloud",
    "platform.from_address": "deployment-1",
}


def settings(purpose="run", **changes):
    keys = OWN | {f"platform.{key}": value for key, value in changes.items()}
    sets = [f"{key}={value}" for key, value in keys.items() if value is not None]
    return load(None, env=SECRETS, sets=sets, purpose=purpose)


def mistakes(purpose="run", **changes):
    with pytest.raises(SettingsError) as error:
        settings(purpose, **changes)
    return {problem.key: problem for problem in error.value.mistakes}


def test_ten_lines_are_enough(tmp_path, monkeypatch):
    """The shipped example is accepted by the check as it is."""
    monkeypatch.chdir(tmp_path)
    Path("contacts.csv").write_text("conversation_id\nc-1\n")
    result = CliRunner(env=SECRETS).invoke(cli, ["check", "--config", str(SHIPPED)])
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    found = load(SHIPPED, env=SECRETS, purpose="check")
    assert len(SHIPPED.read_text().splitlines()) <= 10
    assert (found.platform.dialect, found.platform.base_url) == ("genesys", "")
    assert str(token_url(found)) == "https://login.mypurecloud.de/oauth/token"


def test_no_scope_is_requested_and_the_dialects_own_are_needed():
    """The platform takes no names when it issues a token; tokens/me returns them afterwards."""
    options = token_options(settings(scopes='["a"]'))
    assert (options.scopes, options.read_any_of) == ((), ())
    assert options.write_any_of == ("conversations", "messaging")


@pytest.mark.parametrize(
    ("changes", "scopes"), [({}, SCOPES), ({"write_scopes_any_of": '["a:write"]'}, ("a:write",))]
)
def test_the_dialect_decides_which_grants_are_required_unless_the_settings_do(changes, scopes):
    """Scopes by the dialect or by the settings; the permission for tags only if they are used."""
    options = token_options(settings(**changes))
    assert (tuple(options.write_any_of), options.pages) == (scopes, GENESYS_PAGES)
    assert options.permissions == (SEND, READ, LOOK_BACK)
    assert TAG in token_options(settings(lineage="external-tag", **changes)).permissions
    own = {"base_url": "https://api.example", "region": None, "from_address": None}
    plain = token_options(settings(dialect="messaging", **own, **changes))
    assert (plain.permissions, plain.pages) == ((), MESSAGING_PAGES)
    assert tuple(plain.write_any_of) == (("a:write",) if changes else USUAL_SCOPES)


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"login_url": "https://login.example"}, "https://login.example/oauth/token"),
        ({"base_url": "https://api.example"}, "https://login.usw2.pure.cloud/oauth/token"),
        (
            {"region": None, "base_url": "http://127.0.0.1:8090"},
            "http://127.0.0.1:8090/oauth/token",
        ),
    ],
)
def test_where_tokens_are_issued(changes, url):
    """The setting, else the region's host, else the API's own on this machine."""
    assert str(token_url(settings(**changes))) == url


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"region": "Germany"}, "platform.region", "Germany"),
        ({"region": "mypurecloud.co"}, "platform.region", "mypurecloud.co"),
        ({"region": "https://"}, "platform.region", "https://"),
        ({"base_url": "https://api.euw2.pure.cloud"}, "platform.base_url", "another region"),
        ({"base_url": "https://apps.usw2.pure.cloud"}, "platform.base_url", "not the API's host"),
        ({"login_url": "https://api.usw2.pure.cloud"}, "platform.login_url", "issues tokens"),
        ({"region": None}, "platform.region", "is missing"),
        ({"from_address": None}, "platform.from_address", "is missing"),
        ({"from_address": '" "'}, "platform.from_address", "is missing"),
        (
            {"region": None, "base_url": "https://api.example"},
            "platform.login_url",
            "is missing",
        ),
        ({"login_url": "http://login.example"}, "platform.login_url", "https://"),
        ({"messenger": "pigeon"}, "platform.messenger", "one of"),
        ({"barge_in": "true"}, "platform.barge_in", "one of"),
        ({"lineage": "tag"}, "platform.lineage", "one of"),
        ({"messenger": "whatsapp"}, "platform.template", "is missing"),
        ({"template": "response-1"}, "platform.template", "whatsapp"),
        ({"template_parameter": "1"}, "platform.template_parameter", "no effect"),
    ],
)
@pytest.mark.parametrize("purpose", ["run", "check", "verify"])
def test_mistakes(purpose, changes, key, words, tmp_path, monkeypatch):
    """Each is named by its key; nothing else is wrong then."""
    monkeypatch.chdir(tmp_path)
    found = mistakes(purpose, **changes)
    assert list(found) == [key]
    assert words in found[key].problem


def test_what_is_no_region_gets_a_hint_with_the_known_ones_and_the_way_out():
    """All of them where none can be guessed."""
    hint = mistakes(region="Germany")["platform.region"].hint
    assert all(region in hint for region in (*REGIONS, "platform.base_url", "platform.login_url"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mypurecloud.co", "mypurecloud.com"),
        ("mypurcloud.de", "mypurecloud.de"),
        ("mypureclodu.ie", "mypurecloud.ie"),
        ("usw2.purecloud", "usw2.pure.cloud"),
    ],
)
def test_a_typing_mistake_gets_the_right_region_suggested(written, meant):
    """It is no warning: the domain may be somebody else's, who would get the secret."""
    hint = mistakes(region=written)["platform.region"].hint
    assert f'did you mean "{meant}"?' in hint
    assert "platform.base_url" in hint


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("eu-central-1", "mypurecloud.de"),
        ("EU_CENTRAL_1", "mypurecloud.de"),
        ("https://apps.mypurecloud.de", "mypurecloud.de"),
        ("https://apps.mypurecloud.de/directory/#/home?x=1", "mypurecloud.de"),
        ("https://login.usw2.pure.cloud:443/", "usw2.pure.cloud"),
        ("MyPureCloud.de", "mypurecloud.de"),
        ("euc1.pure.cloud", "mypurecloud.de"),
        ("euc1", "mypurecloud.de"),
        ("prod-use1", "mypurecloud.com"),
        ("apne1", "mypurecloud.jp"),
        ("mypurecloud.de/", "mypurecloud.de"),
        (" api.mypurecloud.com.au. ", "mypurecloud.com.au"),
        ("acme.mypurecloud.com", "mypurecloud.com"),
        ("eusc-de-east-1", "edee1.eusc-pure.cloud"),
    ],
)
def test_other_spellings_of_a_region(written, region):
    """What people copy from their browser, from AWS or from an export means the region."""
    found = settings(region=written)
    assert found.platform.region == region
    assert not [words for words in warnings(found) if "platform.region" in words]


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("apse3.pure.cloud", "apse3.pure.cloud"),
        ("https://apps.mypurecloud.fr/", "mypurecloud.fr"),
        ("frr1.eusc-pure.cloud", "frr1.eusc-pure.cloud"),
        ("cloud.example.org", "cloud.example.org"),
    ],
)
def test_a_region_that_is_newer_than_the_list_is_a_warning(written, region):
    """The hosts that follow from it are named, and the settings that replace them."""
    found = settings(region=written)
    assert str(token_url(found)) == f"https://login.{region}/oauth/token"
    (words,) = [words for words in warnings(found) if "platform.region" in words]
    for part in (region, f"https://api.{region}", "platform.base_url", "platform.login_url"):
        assert part in words


def test_all_hosts_are_of_one_region():
    """A token of one region is refused in another."""
    for one in ({"login_url": "https://login.mypurecloud.de"}, {"base_url": "https://api.x.org"}):
        others = {"region": None, "base_url": "https://api.mypurecloud.de"} | one
        if "base_url" not in one:
            assert settings(**others)
    wrong = {"login_url": "https://login.mypurecloud.ie"}
    hint = mistakes(region=None, base_url="https://api.mypurecloud.de", **wrong)
    assert "valid in its own region only" in hint["platform.base_url"].hint


@pytest.mark.parametrize("region", REGIONS)
def test_every_region(region):
    """Each has its own host for tokens."""
    assert token_url(settings(region=region)).host == f"login.{region}"


def test_all_mistakes_at_once_with_file_and_line(tmp_path):
    """What is missing has no line; what does not go together has."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        'campaign = "c"\n[source]\npath = "-"\n[platform]\nregion = "mypurecloud.de"\n'
        'barge_in = "always"\nmessenger = "sms"\n'
    )
    with pytest.raises(SettingsError) as error:
        load(config, env=SECRETS)
    found = {m.key: (Path(m.where).name, m.line) for m in error.value.mistakes}
    assert found == {
        "platform.base_url": ("settings", None),
        "platform.region": ("dispatcher.toml", 5),
        "platform.barge_in": ("dispatcher.toml", 6),
        "platform.messenger": ("dispatcher.toml", 7),
    }


def test_where_it_stands_needs_no_platform():
    """Status looks at the ledger alone."""
    found = settings("status", region=None, from_address=None)
    assert found.platform.dialect == "genesys"


@pytest.mark.parametrize(
    ("messenger", "identity", "address", "limit"),
    [
        ("webmessaging", True, False, 2000),
        ("sms", False, True, 765),
        ("open", False, True, 2000),
        ("whatsapp", False, True, 2000),
    ],
)
def test_what_a_messenger_needs(messenger, identity, address, limit):
    """Who is written to, and how much."""
    template = {"template": "response-1"} if messenger == "whatsapp" else {}
    found = settings(messenger=messenger, **template)
    rules = make_policy(found)
    assert (rules.needs_identity, rules.needs_address) == (identity, address)
    assert rules.reconcile.reports_people is (messenger != "whatsapp")
    assert not rules.reconcile.reports_links
    assert text_limit(found) == limit


@pytest.mark.parametrize("barge_in", BargeIn)
def test_barging_in_is_the_operators_choice(barge_in):
    """And never by default."""
    assert make_policy(settings(barge_in=barge_in.value)).barge_in is barge_in
    assert make_policy(settings()).barge_in is BargeIn.NEVER


@pytest.mark.parametrize("rule", IdentityRule)
def test_the_rule_for_two_people_is_the_campaigns(rule):
    """With the row's id a send in doubt cannot be proved absent: its person may be merged."""
    sets = [f"{key}={value}" for key, value in OWN.items()]
    rules = make_policy(load(None, env=SECRETS, sets=[*sets, f"rules.identity={rule.value}"]))
    assert rules.identity is rule
    assert rules.reconcile.reports_people is (rule is not IdentityRule.ROW)
    assert make_policy(settings()).identity is IdentityRule.PARK


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ("[]", "at least one kind"),
        ('["mine"]', 'not "mine"'),
        ('["availability"]', 'only dialect = "genesys" states up to when'),
    ],
)
def test_what_can_prove_nothing_is_a_mistake(kinds, words):
    """No kind, one that does not exist, or one that the dialect does not have."""
    own = {"campaign": "c1", "source.path": "-", "platform.base_url": "https://x.example.com"}
    sets = [*(f"{key}={value}" for key, value in own.items()), f"reconcile.evidence={kinds}"]
    with pytest.raises(SettingsError) as error:
        load(None, env=SECRETS, sets=sets, purpose="run")
    (problem,) = error.value.mistakes
    assert problem.key == "reconcile.evidence"
    assert words in str(problem)


def test_the_settings_say_what_counts_as_evidence():
    """All of it by default; only this dialect can be asked for its newest record."""
    keys = [f"{key}={value}" for key, value in OWN.items()]
    policy = make_policy(load(None, env=SECRETS, sets=keys, purpose="run")).reconcile
    assert (policy.evidence, policy.finds_newest) == (frozenset(EvidenceKind), True)
    keys.append('reconcile.evidence=["own", "availability"]')
    policy = make_policy(load(None, env=SECRETS, sets=keys, purpose="run")).reconcile
    assert policy.evidence == {EvidenceKind.OWN, EvidenceKind.AVAILABILITY}


def test_the_other_dialect_stays_as_it_is():
    """It goes into open sessions, and needs a person and an address."""
    sets = ["campaign=c", "source.path=-", "platform.base_url=https://api.example.com"]
    found = load(None, env=SECRETS, sets=sets)
    rules = make_policy(found)
    assert (rules.barge_in, rules.needs_identity, rules.needs_address) == (
        BargeIn.ALWAYS,
        True,
        True,
    )
    assert text_limit(found) == TEXT_LIMIT


def test_a_template_of_another_alphabet_has_fewer_characters_for_sms():
    """Five parts of UCS-2 are 335; one character makes it that."""
    for text, wrong in (("x" * 600, False), ("x" * 599 + "ç", True), ("п" * 335, False)):
        changes = {"messenger": "sms", "from_address": "+4930100"}
        sets = [f"{key}={value}" for key, value in OWN.items()]
        sets += [f"platform.{key}={value}" for key, value in changes.items()]
        sets.append(f"message.text={text}")
        if wrong:
            with pytest.raises(SettingsError, match="9 parts as SMS"):
                load(None, env=SECRETS, sets=sets)
        else:
            found = load(None, env=SECRETS, sets=sets)
            assert any("U+043F" in words for words in warnings(found)) is ("п" in text)


def test_a_template_that_is_too_long_for_sms():
    """A row's own text is judged as it is read, the template at once."""
    sets = [f"{key}={value}" for key, value in OWN.items()]
    sets += ["platform.messenger=sms", f"message.text={'x' * 766}"]
    with pytest.raises(SettingsError) as error:
        load(None, env=SECRETS, sets=sets)
    (mistake,) = error.value.mistakes
    assert (mistake.key, "765" in mistake.problem) == ("message.text", True)


async def test_a_row_that_is_too_long_for_sms(tmp_path):
    """It is rejected before anything is asked or sent."""
    rows = tmp_path / "contacts.csv"
    rows.write_text(f"conversation_id,text\nc-1,{'x' * 765}\nc-2,{'x' * 766}\n")
    sets = [f"{key}={value}" for key, value in OWN.items() if key != "source.path"]
    sets += ["platform.messenger=sms", f"source.path={rows}"]
    source = make_source(load(None, env=SECRETS, sets=sets), once=True)
    kept, rejected = [], []
    async for batch in source.batches({}):
        kept += [contact.conversation_id for contact in batch.contacts]
        rejected += [row.reason for row in batch.rejected]
    assert (kept, rejected) == (["c-1"], ["text_too_long"])
