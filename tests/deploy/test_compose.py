"""`compose.yaml`: every service locked down, and the same commands with the same environment serve for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509

from project import queues
from project.provision import self_signed
from tests.deploy.compose import read_compose
from tests.edge.nginx import NGINX, WHY_SKIPPED, configure
from tests.support.services import create_database, free_port, take_redis_database
from tests.support.signing import Signer
from tests.support.stack import PROJECT, new_folder, run_folder, server_variables
from tests.support.wire import assert_granted

SERVICES = {
    "prepare",
    "postgres",
    "redis",
    "migrate",
    "web",
    "worker",
    "deliveries",
    "files",
    "beat",
    "proxy",
}
SERVICE_KEYS = {
    *(
        "image",
        "build",
        "command",
        "user",
        "restart",
        "init",
        "read_only",
        "tmpfs",
        "cap_drop",
        "security_opt",
    ),
    *(
        "env_file",
        "environment",
        "volumes",
        "networks",
        "network_mode",
        "depends_on",
        "healthcheck",
        "stop_grace_period",
        "ports",
    ),
}


def test_it_is_what_compose_reads() -> None:
    document = read_compose()
    assert set(document) == {"name", "x-datafold", "services", "networks", "volumes"}
    assert set(document["services"]) == SERVICES
    for name, service in document["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert isinstance(service["image"], str)
        for other, condition in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert condition["condition"] in {"service_healthy", "service_completed_successfully"}
            if condition["condition"] == "service_healthy":
                assert "test" in document["services"][other]["healthcheck"]
        assert set(service.get("networks", [])) <= set(document["networks"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in document["volumes"] or (PROJECT / source).exists()
        assert all(isinstance(value, str) for value in service.get("environment", {}).values()), name


def test_our_own_containers_can_do_little() -> None:
    services = read_compose()["services"]
    for name in ("prepare", "migrate", "web", "worker", "deliveries", "files", "beat", "proxy"):
        assert services[name]["read_only"] is True, name
        assert services[name]["cap_drop"] == ["ALL"], name
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["prepare"]["network_mode"] == "none"
    assert read_compose()["networks"]["back"]["internal"] is True
    assert "front" not in services["postgres"]["networks"] + services["redis"]["networks"]
    assert "noeviction" in services["redis"]["command"]


def test_webhooks_and_mail_find_a_way_out_and_the_worker_is_no_proxy() -> None:
    document = read_compose()
    for service in ("worker", "deliveries"):
        networks = document["services"][service]["networks"]
        assert [name for name in networks if not document["networks"][name].get("internal")] == ["out"]
        assert "front" not in networks  # whose addresses web believes what they say of callers
    assert document["services"]["files"]["networks"] == ["back"], "it reads strangers' files"


def test_mail_and_any_other_setting_can_be_set() -> None:
    values = {"EMAIL_URL": "submission://mail.example.com", "DATAFOLD_OPERATORS_EMAIL": "ops@example.com"}
    for service in ("web", "worker", "deliveries", "files", "beat"):
        found = read_compose(values)["services"][service]
        assert values.items() <= found["environment"].items()
        assert found["env_file"] == [{"path": "datafold.env", "required": False}]
    assert "datafold.env" in (PROJECT / ".gitignore").read_text().split()


def test_every_queue_has_its_workers() -> None:
    services = read_compose()["services"]
    taken = {name: queue_of(services[name]["command"]) for name in ("worker", "deliveries", "files")}
    assert sorted(taken.values()) == sorted(queues.names())


def queue_of(command: list[str]) -> str:
    return command[command.index("--queues") + 1]


@pytest.mark.parametrize("host", ["datafold.example.com", "192.0.2.7", "2001:db8::7"])
def test_the_first_certificate_is_for_the_host(host: str) -> None:
    certificate = x509.load_pem_x509_certificate(self_signed(host, datetime.now(UTC))[0].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert [*names.get_values_for_type(x509.DNSName), *addresses] == [host]
    assert bool(addresses) == (host != "datafold.example.com")


def test_no_secret_stands_in_it() -> None:
    for name, service in read_compose()["services"].items():
        for variable, value in service.get("environment", {}).items():
            if any(word in variable for word in ("SECRET", "PASSWORD", "ENCRYPTION", "DATABASE_URL")):
                assert variable.endswith("_FILE"), (name, variable)
                assert value.startswith("/run/datafold/")


# What `read_only: true` does: everything but the folder of volumes and /tmp, in a mount namespace of its own.
SEAL = """set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -o remount,bind,ro /
mount --bind "$2" "$2"
mount -o remount,bind,rw "$2"
cd "$1"
shift 2
exec "$@"
"""


def unshare() -> list[str] | None:
    """The command that gives a mount namespace; None where this user may have none."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        if shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True).returncode:
            return command
    return None


class Stack:
    """The services' own commands, as processes of this machine, against real servers.

    Attributes:
        sealed: how a command gets the root file system that a service declares; None where it cannot.
    """

    def __init__(self) -> None:
        self.folder = new_folder("compose-")
        self.web_port, self.https_port = free_port(), free_port()
        self.variables = {"DATAFOLD_HTTPS_PORT": str(self.https_port)}
        self.services = read_compose(self.variables)["services"]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.sealed = unshare()
        for name in ("secrets", "tls", "data", "tmp"):
            (self.folder / name).mkdir()
        self.database_url = create_database(run_folder(), f"compose_{self.folder.name[-6:]}")
        self.redis_url = take_redis_database(run_folder())

    def place(self, value: str) -> str:
        """A value of the file, with its addresses moved to this machine."""
        for inside, here in (
            ("/run/datafold", str(self.folder / "secrets")),
            ("/run/tls", str(self.folder / "tls")),
            ("redis://redis:6379/0", self.redis_url),
            ("172.30.77.0/24", "127.0.0.1/32"),
            ("web:8000", f"127.0.0.1:{self.web_port}"),
            ("/tmp/beat", f"{self.folder}/tmp/beat"),
        ):
            value = value.replace(inside, here)
        return {"/data": str(self.folder / "data"), "8000": str(self.web_port), "0.0.0.0": "127.0.0.1"}.get(
            value, value
        )

    def environment(self, service: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in server_variables()}
        inherited["PATH"] = f"{Path(sys.executable).parent}:{inherited['PATH']}"
        own = {
            name: self.place(value) for name, value in self.services[service].get("environment", {}).items()
        }
        # The image sets it, as its static files were collected when it was built.
        here = {"STATIC_ROOT": str(self.folder / "static"), "TMPDIR": str(self.folder / "tmp")}
        return {**inherited, **here, **own}

    def command(self, service: str) -> list[str]:
        return [self.place(part) for part in self.services[service]["command"]]

    def on_its_root(self, service: str, command: list[str]) -> list[str]:
        """The command as it runs in the service's container, where the root may be read-only."""
        if not self.sealed or not self.services[service].get("read_only"):
            return command
        return [*self.sealed, "sh", "-c", SEAL, "sh", str(PROJECT), str(self.folder), *command]

    def run(self, service: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.on_its_root(service, command or self.command(service)),
            env=self.environment(service),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def start(self, service: str, command: list[str] | None = None) -> None:
        log = (self.folder / f"{service}.log").open("wb")
        self.processes[service] = subprocess.Popen(
            self.on_its_root(service, command or self.command(service)),
            env=self.environment(service),
            cwd=PROJECT,
            stdout=log,
            stderr=log,
        )

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()

    def logs(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in self.folder.glob("*.log"))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if NGINX is None:
        pytest.skip(WHY_SKIPPED)
    stack = Stack()
    assert stack.run("prepare").returncode == 0
    (stack.folder / "secrets/database_url").write_text(stack.database_url)
    migrated = stack.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    (stack.folder / "static").mkdir()
    stack.run("web", ["python", "manage.py", "collectstatic", "--no-input", "--verbosity", "0"])
    for service in ("web", "worker", "deliveries", "files", "beat"):
        stack.start(service)
    proxy = {name: stack.place(value) for name, value in stack.services["proxy"]["environment"].items()}
    listen = {
        "DATAFOLD_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
        "DATAFOLD_HTTPS_LISTEN": f"127.0.0.1:{stack.https_port}",
    }
    configure(
        stack.folder, {**proxy, **listen, "DATAFOLD_ACCESS_LOG": str(stack.folder / "proxy-access.log")}
    )
    stack.start("proxy", [NGINX, "-c", str(stack.folder / "nginx.conf")])
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx2.Client]:
    import ssl

    trust = ssl.create_default_context(cafile=stack.folder / "tls/tls.crt")
    with httpx2.Client(
        base_url=f"https://localhost:{stack.https_port}", verify=trust, trust_env=False
    ) as http:
        wait_for(stack, lambda: http.get("/health/ready").status_code == 200)
        yield http


def wait_for(stack: Stack, condition: Any, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except httpx2.HTTPError:
            pass
        assert time.monotonic() < deadline, stack.logs()
        time.sleep(0.3)


@pytest.mark.one_stack
def test_a_signed_call_goes_through_the_whole_of_it(stack: Stack, http: httpx2.Client) -> None:
    signer = Signer("composed")
    body = {"client_id": signer.key_id, "public_key": signer.public_hex}
    assert_granted(http.post("/api/v1/crypto/keys/register", json=body))
    approved = stack.run("web", ["python", "manage.py", "approve_key", signer.key_id])
    assert approved.returncode == 0, approved.stderr
    signed = signer.sign("GET", f"https://localhost:{stack.https_port}/api/v1/auth/me")
    assert_granted(http.get("/api/v1/auth/me", headers=signed.headers))


@pytest.mark.one_stack
def test_worker_and_beat_are_at_work(stack: Stack, http: httpx2.Client) -> None:
    def at_work() -> bool:
        services = http.get("/health/detailed").json()["data"]["services"]
        nodes = [name.split("@")[0] for name in services["workers"].get("workers", {})]
        return nodes == ["celery", "deliveries", "files"] and all(
            facts["status"] == "healthy" for facts in services.values()
        )

    wait_for(stack, at_work)


@pytest.mark.one_stack
def test_the_health_check_of_the_container(stack: Stack, http: httpx2.Client) -> None:
    command = stack.services["web"]["healthcheck"]["test"]
    assert command[0] == "CMD"
    assert stack.run("web", command[1:]).returncode == 0


@pytest.mark.one_stack
def test_nothing_of_it_needs_to_write_elsewhere(stack: Stack, http: httpx2.Client) -> None:
    """All the other tests ran on that root."""
    if not stack.sealed:
        pytest.skip("no mount namespaces for this user, so everything ran on a root that could be written")
    for folder in (PROJECT, Path("/var")):
        tried = stack.run("web", ["touch", str(folder / "written-by-a-test")])
        assert "Read-only file system" in tried.stderr
    assert stack.run("web", ["touch", str(stack.folder / "tmp/written")]).returncode == 0
    assert all(process.poll() is None for process in stack.processes.values())


@pytest.mark.one_stack
def test_a_second_start_keeps_the_secrets(stack: Stack) -> None:
    before = {path.name: path.read_text() for path in (stack.folder / "secrets").iterdir()}
    assert stack.run("prepare").returncode == 0
    assert {path.name: path.read_text() for path in (stack.folder / "secrets").iterdir()} == before
