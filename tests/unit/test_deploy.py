"""The examples of deploy/ fit the settings, the health server, the exit codes and each other."""

import re
import shutil
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from dispatcher.app.credentials import make_credentials
from dispatcher.cli.exit_codes import RESTART_HELPS
from dispatcher.domain.errors import ExitCode
from dispatcher.engine.clock import SystemClock
from dispatcher.http_server import health
from dispatcher.ports import ClientCredentials
from dispatcher.settings import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_FOLDER, KUBERNETES = DEPLOY / "compose", DEPLOY / "kubernetes"
SECRETS = "/run/secrets"
"""Where containers have the files with secrets."""


class Compose(yaml.SafeLoader):
    """Reads what Compose adds to YAML."""


Compose.add_constructor("!reset", lambda *_: None)
Compose.add_constructor(
    "!override",
    lambda loader, node: (
        loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.MappingNode)
        else loader.construct_sequence(node, deep=True)
    ),
)

COMPOSE = yaml.safe_load((COMPOSE_FOLDER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
AGENT = yaml.load((COMPOSE_FOLDER / "compose.datadog.yaml").read_text(), Compose)
ONE = yaml.load((COMPOSE_FOLDER / "compose.file.yaml").read_text(), Compose)
OFF = {"disable": True}
MANIFESTS = {
    (one["kind"], one["metadata"]["name"]): one
    for path in sorted(KUBERNETES.glob("*.yaml"))
    if path.name not in ("kustomization.yaml", "migrate.yaml")
    for one in yaml.safe_load_all(path.read_text())
}
KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
MIGRATE = yaml.safe_load((KUBERNETES / "migrate.yaml").read_text())
DEPLOYMENT = MANIFESTS["Deployment", "dispatcher"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
CONTAINER = POD["containers"][0]
CONFIGS = {
    one: (DEPLOY / one / "dispatcher.toml").read_text()
    for one in ("compose", "kubernetes", "systemd")
}
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
"""The public authorities, in Debian and in the image."""


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text)[1])


def secret_files(name):
    """The files with secrets that a configuration names."""
    folder = "/etc/dispatcher" if name == "systemd" else SECRETS
    return {*re.findall(rf'"({folder}[^"]+)"', CONFIGS[name])}


@pytest.fixture(scope="module")
def made_secrets(tmp_path_factory):
    """The secrets of compose, by its script; a second time it changes none."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the secrets")
    script = tmp_path_factory.mktemp("compose") / "secrets.sh"
    script.write_bytes((COMPOSE_FOLDER / "secrets.sh").read_bytes())
    made = []
    for _ in range(2):
        subprocess.run(["sh", script], check=True)
        folder = script.parent / "secrets"
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    assert folder.stat().st_mode & 0o777 == 0o700
    return made[0]


@pytest.fixture
def loaded(tmp_path, monkeypatch, made_secrets):
    """Load a configuration as a run does, with the files of its secrets in another folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contacts.csv").write_text("conversation_id,first_name\n")

    def load_config(name, env=None):
        for file in secret_files(name):
            path = Path(f"{tmp_path}{file}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made_secrets.get(path.name, b"s"))
        config, text = tmp_path / f"{name}.toml", CONFIGS[name]
        for file in secret_files(name):
            text = text.replace(f'"{file}"', f'"{tmp_path}{file}"')
        config.write_text(text.replace("/var/lib/dispatcher/contacts.csv", "contacts.csv"))
        return load(config, env=env or {})

    return load_config


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configurations_are_those_of_a_run_with_a_standby(name, loaded):
    """The ledger is on two hosts of a server that survives the loss of one, with a plain role."""
    settings = loaded(name)
    url = re.match(r"postgresql://dispatcher_run@([^/]+)/ledger", settings.ledger.url)
    assert len(url[1].split(",")) == 2
    assert settings.ledger.durable == "replicated"
    assert settings.telemetry.health_port == 8090
    assert (settings.telemetry.health_host == "0.0.0.0") is (name != "systemd")
    assert settings.credentials.source == "file"
    assert str(settings.control.socket) == "/run/dispatcher/control.sock"


@pytest.mark.parametrize("name", ["kubernetes", "systemd"])
def test_the_server_proves_who_it_is_with_a_file_that_is_there(name, loaded):
    """Neither the driver nor libpq has its own; the image is built only with these."""
    query = loaded(name).ledger.url.partition("?")[2]
    assert query == f"sslmode=verify-full&sslrootcert={AUTHORITIES}"
    assert f"test -s {AUTHORITIES}" in (DEPLOY / "Containerfile").read_text()


def images():
    found = {name: one["image"] for name, one in (SERVICES | AGENT["services"]).items()}
    found |= {"agent of the sandbox": SERVICES["agent"]["image"], "job": pod_of(MIGRATE)["image"]}
    for name in ("dispatcher", "intake"):
        found[f"pod {name}"] = pod_of(MANIFESTS["Deployment", name])["image"]
    (base,) = set(re.findall(r"^FROM (\S+)", (DEPLOY / "Containerfile").read_text(), re.MULTILINE))
    return {**found, "base": base}


def image_line(word):
    """The instruction of the image; a line that ends in a backslash goes on."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", "")
    (line,) = re.findall(rf"^{word} (.+)$", text, re.MULTILINE)
    return line


def test_the_image_is_healthy_where_its_command_has_its_health():
    """Only services that run the command of the image have its check; it needs no other program."""
    assert "telemetry.health_port=8090" in image_line("CMD")
    assert "127.0.0.1:8090/healthz" in image_line("HEALTHCHECK")
    assert 'CMD ["python", "-c", ' in image_line("HEALTHCHECK")
    assert "USER 10001:10001" in (DEPLOY / "Containerfile").read_text()
    others = {
        name
        for name, one in SERVICES.items()
        if one["image"].startswith("dispatcher:") and {"command", "entrypoint"} & {*one}
    }
    disabled = {name for name, one in SERVICES.items() if one.get("healthcheck") == OFF}
    assert others == disabled == {"migrate", "contacts", "sandbox", "agent"}


def test_the_image_has_only_what_its_build_needs():
    """Else an environment, a ledger or secrets of the checkout may be in it."""
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    permitted = {line[1:] for line in ignored if line.startswith("!")}
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE
    )
    assert permitted == {name for line in copied for name in line.split()}


def test_compose_with_a_ledger_in_a_file_needs_no_database(loaded, tmp_path, monkeypatch):
    """The rest is shared: the overriding file names services of the other one."""
    assert {*ONE["services"]} <= {*SERVICES}
    removed = {name for name, one in ONE["services"].items() if one is None}
    dispatcher = SERVICES["dispatcher-1"] | ONE["services"]["dispatcher-1"]
    left = {*SERVICES} - removed
    assert left == {"dispatcher-1", "contacts", "sandbox", "platform", "agent"}
    assert {*dispatcher["depends_on"]} <= left
    env = dispatcher["environment"]
    settings = loaded("compose", env={name: str(value) for name, value in env.items()})
    assert (settings.ledger.url, settings.ledger.durable) == ("", "single")
    named = secret_files("compose") - {f"{SECRETS}/ledger-password"}
    assert {f"{SECRETS}/{secret}" for secret in dispatcher["secrets"]} == named
    assert dispatcher["volumes"] == ["contacts:/var/lib/dispatcher"]


def pod_of(manifest):
    return manifest["spec"]["template"]["spec"]["containers"][0]


def test_every_image_has_the_tag_of_one_release():
    """Else a restart may bring another major version of the database."""
    (ours,) = KUSTOMIZATION["images"]
    tags = {name: image.rpartition(":")[2] for name, image in images().items()}
    assert tags.pop("pod dispatcher") == ours["name"]
    assert [tag for tag in tags.values() if not re.match(r"\d+\.\d+(\.\d+)?", tag)] == []
    (version,) = re.findall(
        r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    built = {
        image for image in images().values() if image.rpartition(":")[0].endswith("dispatcher")
    }
    assert {image.rpartition(":")[2] for image in built} == {version} == {ours["newTag"]}


def test_compose_gives_each_dispatcher_its_files_and_enough_time_to_drain(loaded):
    config = loaded("compose")
    for name in ("dispatcher-1", "dispatcher-2"):
        one = SERVICES[name]
        assert {f"{SECRETS}/{secret}" for secret in one["secrets"]} == secret_files("compose")
        assert seconds(one["stop_grace_period"]) > config.engine.drain_seconds + 5
        assert one["hostname"] == name
        assert one["read_only"]
        assert "healthcheck" not in one
        assert f":{config.telemetry.health_port}/healthz" in image_line("HEALTHCHECK")
        assert one["ports"][0].endswith(f":{config.telemetry.health_port}")
        folders = {entry.partition(":")[0] for entry in one["tmpfs"]}
        assert str(Path(config.control.socket).parent) in folders
    assert config.telemetry.statsd_host in SERVICES
    assert set(re.search(r"@([^/]+)/", config.ledger.url)[1].split(",")) <= {*SERVICES}
    assert re.fullmatch(r"https://(\w+):8443", str(config.platform.base_url))[1] in SERVICES


def test_compose_names_only_files_and_secrets_that_are_there(made_secrets):
    """Its script makes every secret, and nobody else can enter their folder."""
    files = {one["file"] for one in COMPOSE["secrets"].values()}
    assert files == {f"secrets/{name}" for name in made_secrets}
    for service in SERVICES.values():
        assert {*service.get("secrets", [])} <= {*COMPOSE["secrets"]}
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            here = (COMPOSE_FOLDER / source).is_file() or source in COMPOSE["volumes"]
            assert here, volume


@pytest.mark.parametrize("script", ["secrets.sh", "postgres/init.sh", "postgres/node.sh"])
def test_the_scripts_are_scripts_that_can_be_executed(script):
    """One that cannot is read into the image's own script, and changes how that one goes on."""
    path = COMPOSE_FOLDER / script
    assert path.stat().st_mode & 0o111 == 0o111
    subprocess.run(["bash", "-n", path], check=True)


def test_each_database_waits_for_the_other_one():
    """A standby streams by its host name, which is one of those that the primary waits for."""
    init = (COMPOSE_FOLDER / "postgres" / "init.sh").read_text()
    (names,) = re.findall(r"synchronous_standby_names = 'ANY 1 \((.+)\)'", init)
    pair = {name: SERVICES[name] for name in names.split(", ")}
    assert {name: one["environment"]["PEER"] for name, one in pair.items()} == {
        "db1": "db2",
        "db2": "db1",
    }
    assert [name for name, one in pair.items() if "FIRST" in one["environment"]] == ["db1"]
    assert {name: one["hostname"] for name, one in pair.items()} == {"db1": "db1", "db2": "db2"}
    assert "application_name=$HOSTNAME" in (COMPOSE_FOLDER / "postgres" / "node.sh").read_text()


def test_kubernetes_runs_two_that_one_disruption_leaves_one_of():
    """On different nodes; a rollout needs no third node."""
    assert DEPLOYMENT["replicas"] == 2
    assert DEPLOYMENT["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    budget = MANIFESTS["PodDisruptionBudget", "dispatcher"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    labels = DEPLOYMENT["template"]["metadata"]["labels"]
    (apart,) = POD["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    for selector in (budget["selector"], DEPLOYMENT["selector"], apart["labelSelector"]):
        assert selector["matchLabels"].items() <= labels.items()


def served_pages():
    """The paths that the health server answers."""
    return {*re.findall(r'"(/\w+)": \w+', Path(health.__file__).read_text())}


def test_kubernetes_asks_for_the_health_that_a_standby_has(loaded):
    """With /leaderz as readiness the budget would never let the leader go."""
    config = loaded("kubernetes")
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"health": config.telemetry.health_port, "posts": config.source.posts.port}
    probes = {name: one["httpGet"] for name, one in CONTAINER.items() if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {"health"}
    assert {probe["path"] for probe in probes.values()} | {"/leaderz"} <= served_pages()
    assert POD["terminationGracePeriodSeconds"] > config.engine.drain_seconds + 5


def test_posts_reach_the_dispatcher_that_leads(loaded):
    """The proxy asks each pod, also one that is not ready, on the port of its health."""
    config, proxy = loaded("kubernetes"), (KUBERNETES / "haproxy.cfg").read_text()
    assert "option httpchk GET /leaderz" in proxy
    assert f"check port {config.telemetry.health_port} " in proxy
    (name, namespace, port) = re.findall(r" ([\w-]+)\.(\w+)\.svc\.cluster\.local:(\d+) ", proxy)[0]
    pods = MANIFESTS["Service", name]["spec"]
    assert (pods["clusterIP"], pods["publishNotReadyAddresses"]) == ("None", True)
    assert (namespace, int(port)) == (KUSTOMIZATION["namespace"], config.source.posts.port)
    intake = pod_of(MANIFESTS["Deployment", "intake"])
    listens = {port["name"]: port["containerPort"] for port in intake["ports"]}
    assert [int(port) for port in re.findall(r"bind :(\d+)", proxy)] == [*listens.values()]
    assert MANIFESTS["Service", "intake"]["spec"]["ports"][0]["targetPort"] in listens
    permitted = MANIFESTS["NetworkPolicy", "dispatcher"]["spec"]["ingress"][0]["ports"]
    assert {one["port"] for one in permitted} == {int(port), config.telemetry.health_port}


@pytest.mark.parametrize("name", ["dispatcher", "intake"])
def test_kubernetes_gives_no_pod_more_than_it_needs(name):
    pod = MANIFESTS["Deployment", name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in pod["containers"][0]["resources"]["limits"]
    assert not pod["automountServiceAccountToken"]


def test_kubernetes_mounts_every_file_that_the_configuration_names(loaded):
    """Secrets are files, so they are in no environment and in no list of processes."""
    folders = [mount["mountPath"] for mount in CONTAINER["volumeMounts"]]
    secrets = secret_files("kubernetes")
    for file in (*secrets, loaded("kubernetes").control.socket, CONTAINER["args"][2]):
        assert any(str(Path(file).parent) == folder for folder in folders), file
    volumes = {volume["name"] for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes
    assert not [one for one in CONTAINER["env"] if "secretKeyRef" in str(one)]
    text = (DEPLOY / "README.md").read_text()
    for file in secrets:
        assert f"--from-file={Path(file).name}" in text


def test_kustomize_takes_every_file():
    files = {path.name for path in KUBERNETES.iterdir()}
    generated = [file for one in KUSTOMIZATION["configMapGenerator"] for file in one["files"]]
    taken = {*KUSTOMIZATION["resources"], *generated, "kustomization.yaml", "migrate.yaml"}
    assert taken == files
    maps = {one["name"] for one in KUSTOMIZATION["configMapGenerator"]}
    used = {
        volume["configMap"]["name"]
        for name in ("dispatcher", "intake")
        for volume in MANIFESTS["Deployment", name]["spec"]["template"]["spec"]["volumes"]
        if "configMap" in volume
    }
    assert used == maps


def test_only_the_migration_is_done_as_the_owner_of_the_tables(loaded):
    """With the same database; the role is one of roles.sql, and no dispatcher has its password."""
    job, service = pod_of(MIGRATE), SERVICES["migrate"]
    for labelled in (MIGRATE, MIGRATE["spec"]["template"]):
        ((label, name),) = labelled["metadata"]["labels"].items()
        assert f" -l {label}={name}" in (ROOT / "docs" / "high-availability.md").read_text()
    assert job["args"][:2] == service["command"][:2] == ["ledger", "migrate"]
    owner = "postgresql://dispatcher_owner@"
    plain = "postgresql://dispatcher_run@"
    assert job["args"][3].replace(owner, plain) == loaded("kubernetes").ledger.url
    url = service["environment"]["DISPATCHER__LEDGER__URL"]
    assert url.replace(owner, plain) == loaded("compose").ledger.url
    (array,) = re.findall(r"ARRAY\[(.+?)\]", (DEPLOY / "roles.sql").read_text(), re.DOTALL)
    roles = re.findall(r"'(\w+)'", array)
    assert roles == [f"dispatcher_{name}" for name in ("owner", "run", "read", "backup")]
    documented = (ROOT / "docs" / "ledger-postgres.md").read_text()
    assert set(roles) == set(re.findall(r"dispatcher_\w+", documented))
    assert not [one for one in SERVICES["dispatcher-1"]["secrets"] if "owner" in one]


UNIT = (DEPLOY / "systemd" / "dispatcher.service").read_text()
OF_TWO = (DEPLOY / "systemd" / "two-machines.conf").read_text()
"""What each of two machines adds to it."""


def service_lines(key, text=UNIT):
    return re.findall(rf"^{key}=(.+)$", text, re.MULTILINE)


def test_the_unit_is_that_of_the_documentation():
    """It differs in its comment; a lost lease starts it again."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (documented,) = re.findall(r"```ini\n(\[Unit\].*?)```", text, re.DOTALL)
    assert UNIT[UNIT.index("[Unit]") :] == documented
    (prevented,) = service_lines("RestartPreventExitStatus")
    assert ExitCode.LEASE_LOST in RESTART_HELPS
    assert str(ExitCode.LEASE_LOST.value) not in prevented.split()


def test_of_two_machines_each_is_started_again_after_an_outage_of_the_database():
    """Without end, and after exit code 4; for the rest it is as the unit has it."""
    assert service_lines("StartLimitIntervalSec", OF_TWO) == ["0"]
    assert "\nRestartPreventExitStatus=\n" in OF_TWO
    (alone,), (of_two,) = (
        service_lines("RestartPreventExitStatus", text) for text in (UNIT, OF_TWO)
    )
    assert {*alone.split()} - {*of_two.split()} == {str(ExitCode.LEDGER.value)}
    assert {*of_two.split()} < {*alone.split()}


def test_two_machines_have_the_password_of_the_ledger_from_the_unit(loaded, tmp_path):
    """Operators have that of the configuration, as root."""
    (variable,) = service_lines("Environment", OF_TWO)
    name, _, value = variable.partition("=")
    (credential,) = service_lines("LoadCredential", OF_TWO)
    file, _, source = credential.partition(":")
    assert value == f"%d/{file}"
    given = tmp_path / file
    given.write_text("of systemd")
    assert loaded("systemd", env={name: str(given)}).ledger.password_file == str(given)
    assert loaded("systemd").ledger.password_file == f"{tmp_path}{source}"


def test_every_file_for_systemd_is_installed_by_the_steps_of_the_readme():
    text = (DEPLOY / "README.md").read_text()
    files = [path.name for path in (DEPLOY / "systemd").iterdir()]
    assert [name for name in files if f" deploy/systemd/{name}" not in text] == []


async def test_the_unit_gives_the_credentials_as_files_of_systemd(tmp_path):
    """A run reads them from $CREDENTIALS_DIRECTORY, where only its user can."""
    folder = tmp_path / "credentials"
    folder.mkdir(0o700)
    for line in service_lines("LoadCredential"):
        name = line.partition(":")[0]
        (folder / name).write_text(f"{name} of systemd\n")
        (folder / name).chmod(0o400)
    env = dict(line.split("=", 1) for line in service_lines("Environment"))
    env = {name: value.replace("%d", str(folder)) for name, value in env.items()}
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        'campaign = "c"\n[message]\ntext = "Hello"\n[source]\npath = "-"\n'
        '[platform]\nbase_url = "https://api.example.com"\n'
    )
    settings = load(config, env=env)
    async with AsyncExitStack() as stack:
        source = make_credentials(settings.credentials, stack, {}, SystemClock())
        assert await source.get() == ClientCredentials(
            "client-id of systemd", "client-secret of systemd"
        )


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    """But for its program and its user, which this machine does not have; it is hardened."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze reads the unit")
    unit = tmp_path / "dispatcher.service"
    program = str(shutil.which("true"))
    unit.write_text(re.sub("/opt/dispatcher/bin/dispatcher", program, UNIT))
    added = tmp_path / "dispatcher.service.d" / "two-machines.conf"
    added.parent.mkdir()
    added.write_text(OF_TWO)
    command = ["systemd-analyze", "verify", "--man=no", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
