"""The Compose file is valid, complete and closed: what can be known without starting it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from include.launcher import health, preflight, provision
from include.launcher.servers import databases
from include.launcher.servers.airflow import Airflow
from include.launcher.servers.state import State
from tests.compose.composefile import (
    ROOT,
    compose,
    dotenv,
    fresh_env,
    image_environment,
    interpolate,
)

AIRFLOW_SERVICES = {
    "airflow-apiserver": "api-server",
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag-processor",
    "airflow-triggerer": "triggerer",
}


@pytest.fixture(scope="module")
def resolved() -> dict[str, Any]:
    found: dict[str, Any] = interpolate(compose(), fresh_env())
    return found


def test_file_follows_the_compose_specification(resolved: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    for form in (compose(), resolved):
        jsonschema.validate(form, schema)


def test_schema_refuses_what_is_no_compose_file(resolved: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    broken = resolved | {"services": {"postgres": {"image": 18}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_docker_accepts_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not on this machine; the schema has judged the file")
    env = tmp_path / ".env"
    env.write_text("".join(f"{name}={value}\n" for name, value in fresh_env().items()))
    for name in ("docker-compose.yaml", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [docker, "compose", "--project-directory", str(tmp_path), "config", "--quiet"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_every_service_waits_for_what_it_needs(resolved: dict[str, Any]) -> None:
    services = resolved["services"]
    for name, service in services.items():
        for needed, condition in (service.get("depends_on") or {}).items():
            assert needed in services, f"{name} waits for {needed}, which is no service"
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for health of {needed}"

    def reaches_preflight(name: str) -> bool:
        needed = services[name].get("depends_on") or {}
        return name == "preflight" or any(reaches_preflight(other) for other in needed)

    assert all(reaches_preflight(name) for name in services)


def test_every_airflow_component_is_a_service_with_a_health_check(
    resolved: dict[str, Any],
) -> None:
    for name, command in AIRFLOW_SERVICES.items():
        service = resolved["services"][name]
        assert service["command"][:5] == [
            "python", "-m", "include.launcher.preflight", "airflow", command,
        ]  # fmt: skip
        *module, component = service["healthcheck"]["test"]
        assert module == ["CMD", "python", "-m", "include.launcher.health"]
        assert component in health.COMPONENTS
    assert resolved["services"]["postgres"]["image"] == "postgres:18"
    assert "healthcheck" in resolved["services"]["postgres"]


def test_every_named_volume_is_declared(resolved: dict[str, Any]) -> None:
    used = {
        volume.partition(":")[0]
        for service in resolved["services"].values()
        for volume in service.get("volumes", ())
    }
    assert {name for name in used if not name.startswith(".")} == set(resolved["volumes"])


def test_each_service_holds_the_secrets_of_its_work_and_no_other() -> None:
    env = fresh_env()
    resolved = interpolate(compose(), env)

    def holders(word: str) -> set[str]:
        return {
            name
            for name, service in resolved["services"].items()
            if any(word in str(value) for value in (service.get("environment") or {}).values())
        }

    assert holders(env["REGULARS_ETL_PASSWORD"]) == {
        "init",
        "airflow-scheduler",
        "airflow-dag-processor",
    }
    assert holders(env["REGULARS_PSEUDONYM_KEY"]) == {"init", "airflow-scheduler"}
    assert holders(env["REGULARS_CONSOLE_PASSWORD"]) == {"init", "airflow-apiserver"}
    assert holders(env["POSTGRES_PASSWORD"]) == {"init", "postgres"}


def test_every_variable_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yaml").read_text()
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"\$\{(\w+)", text))
    documented = set(re.findall(r"^#? ?(\w+)=", example, flags=re.MULTILINE))
    # The image's tag is for whoever builds it, and no part of a running system.
    assert named - documented <= {"REGULARS_TAG"}
    assert documented <= named


def test_every_variable_that_the_code_reads_reaches_a_service(resolved: dict[str, Any]) -> None:
    read: set[str] = set()
    for path in (ROOT / "include").rglob("*.py"):
        if path.parent.name != "launcher":
            read |= set(re.findall(r'environ(?:\.get\(|\[)"(REGULARS_\w+)"', path.read_text()))
    given = {
        name
        for service in resolved["services"].values()
        for name in (service.get("environment") or {})
    }
    # The policy stands where the image has it.
    assert read - given - set(image_environment()) <= {"REGULARS_POLICY"}
    assert "REGULARS_PSEUDONYM_KEY" in read


def test_components_are_set_as_the_launcher_sets_them(
    resolved: dict[str, Any], tmp_path: Path
) -> None:
    natively = Airflow(State(tmp_path / "state"), "postgresql://a:b@c/d").environment()
    scheduler = resolved["services"]["airflow-scheduler"]["environment"]
    in_container = image_environment() | scheduler
    # Said by the services' arguments, by the metadata database's other address, or by default.
    elsewhere = {"API__HOST", "API__PORT", "API__WORKERS", "DATABASE__SQL_ALCHEMY_CONN_ASYNC"}
    elsewhere |= {"CORE__UNIT_TEST_MODE", "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"}
    for name, value in natively.items():
        setting = name.removeprefix("AIRFLOW__")
        if setting == name or setting in elsewhere:
            continue
        assert name in in_container, f"{name} is set by the launcher alone"
        if setting in {"CORE__EXECUTOR", "CORE__PARALLELISM", "CORE__LOAD_EXAMPLES"}:
            assert in_container[name] == value
    for name in ("OPENBLAS_NUM_THREADS", "GX_ANALYTICS_ENABLED"):
        assert in_container[name] == natively[name]


def test_missing_secret_is_named() -> None:
    variables = fresh_env()
    del variables["REGULARS_ETL_PASSWORD"]
    with pytest.raises(KeyError, match="REGULARS_ETL_PASSWORD is not set"):
        interpolate(compose(), variables)


def test_init_is_given_a_password_for_every_role(resolved: dict[str, Any]) -> None:
    assert set(provision.PASSWORDS) == set(databases.ROLES)
    environment = resolved["services"]["init"]["environment"]
    assert set(provision.passwords(environment)) == set(databases.ROLES)


def test_connections_log_in_as_their_roles(resolved: dict[str, Any]) -> None:
    for service in resolved["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if name.startswith("AIRFLOW_CONN_"):
                connection = name.removeprefix("AIRFLOW_CONN_").lower()
                role, database = databases.CONNECTIONS[connection]
                assert re.fullmatch(rf"postgresql://{role}:\w+@postgres:5432/{database}", value)


def test_a_shop_of_ones_own_replaces_the_demo() -> None:
    variables = fresh_env() | {"SHOP_URL": "postgresql://me:secret@shop.example/db"}
    environment = interpolate(compose(), variables)["services"]["airflow-scheduler"]["environment"]
    assert environment["AIRFLOW_CONN_SHOP"] == variables["SHOP_URL"]


def test_image_holds_what_the_services_run() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for folder in ("dags", "plugins", "config", "include"):
        assert f"COPY {folder} {folder}" in text
        assert (ROOT / folder).is_dir()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = set(re.findall(r"^COPY (\S+) ", text, flags=re.MULTILINE))
    assert "*" in ignored
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied
    environment = image_environment()
    assert environment["PYTHONPATH"] == "/opt/regulars"
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == "/opt/regulars/dags"
    assert "--require-hashes" in text
    assert re.search(r"^USER regulars$", text, flags=re.MULTILINE)


def test_placeholders_are_refused_by_name_and_without_their_values() -> None:
    example = dotenv((ROOT / ".env.example").read_text())
    found = preflight.faults(example, every=True)
    assert len(found) == len(preflight.SECRETS)
    for name in preflight.SECRETS:
        assert any(sentence.startswith(f"{name} ") for sentence in found)
    assert preflight.faults(fresh_env(), every=True) == []


def test_services_refuse_a_placeholder_inside_an_address() -> None:
    resolved = interpolate(compose(), dotenv((ROOT / ".env.example").read_text()))
    started = {"postgres", "preflight"}  # one is not ours, the other has the test above
    for name, service in resolved["services"].items():
        if name not in started:
            assert preflight.faults(service["environment"]), f"{name} would start"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REGULARS_ETL_PASSWORD", "short"),
        ("REGULARS_ETL_PASSWORD", "with@sign/and:colon"),
        ("AIRFLOW_FERNET_KEY", "not-a-fernet-key"),
        ("REGULARS_PSEUDONYM_KEY", "7E57"),
        ("AIRFLOW_JWT_SECRET", "x" * 20),
        ("POSTGRES_PASSWORD", ""),
    ],
)
def test_malformed_secret_is_refused_and_not_printed(name: str, value: str) -> None:
    (sentence,) = preflight.faults(fresh_env() | {name: value}, every=True)
    assert sentence.startswith(name)
    assert not value or value not in sentence


def test_preflight_becomes_its_command_or_refuses() -> None:
    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["python3", "-m", "include.launcher.preflight", "python3", "-c", "print('started')"],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin"} | variables,
            capture_output=True,
            text=True,
        )

    good = run(SOME_URL="postgresql://a:b@c/d")
    assert (good.returncode, good.stdout) == (0, "started\n")
    bad = run(SOME_URL="postgresql://a:change-me@c/d")
    assert (bad.returncode, bad.stdout) == (preflight.EX_CONFIG, "")
    assert "SOME_URL still holds the placeholder" in bad.stderr
    assert "postgresql://" not in bad.stderr


def test_written_env_is_private_and_never_overwritten(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".env.example", tmp_path / ".env.example")
    written = preflight.write_env(tmp_path)
    assert written.stat().st_mode & 0o777 == 0o600
    assert preflight.faults(dotenv(written.read_text()), every=True) == []
    with pytest.raises(FileExistsError):
        preflight.write_env(tmp_path)


def test_health_says_why_there_is_no_answer() -> None:
    assert "no answer" in health.state("scheduler", "http://127.0.0.1:9", timeout=1)
    assert health.main(["everything"]) == 2
