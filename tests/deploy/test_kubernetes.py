"""The manifests: what each pod may do, how it is watched, and that they are one consistent whole."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from tests.deploy.compose import read_compose
from tests.support.python import run_python
from tests.support.stack import PROJECT, server_variables

FOLDER = PROJECT / "deploy/kubernetes"
KINDS = {
    "Namespace": "v1",
    "ServiceAccount": "v1",
    "ConfigMap": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}


def manifests() -> list[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(
        path.name for path in FOLDER.glob("*.yaml") if path.stem != "kustomization"
    )
    return [document for name in listed for document in yaml.safe_load_all((FOLDER / name).read_text())]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in manifests() if found["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    return {
        name: found["spec"]["template"] for name, found in (of_kind("Deployment") | of_kind("Job")).items()
    }


def test_kinds_and_versions() -> None:
    assert {(found["kind"], found["apiVersion"]) for found in manifests()} == set(KINDS.items())


@pytest.mark.parametrize("name", ["web", "worker", "deliveries", "files", "beat", "migrate"])
def test_a_pod_can_do_little(name: str) -> None:
    spec = pods()[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert "env" not in container
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in spec["volumes"]}
    assert mounts["secrets"]["readOnly"] is True


def test_the_same_commands_as_compose() -> None:
    services = read_compose()["services"]
    for name, pod in pods().items():
        assert pod["spec"]["containers"][0]["command"] == services[name]["command"], name


def test_secrets_come_from_files_and_every_variable_exists() -> None:
    config = of_kind("ConfigMap")["datafold"]["data"]
    assert set(config) <= server_variables()
    assert all(isinstance(value, str) for value in config.values())
    for name in ("SECRET_KEY", "DATAFOLD_ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL", "EMAIL_URL"):
        assert config[f"{name}_FILE"].startswith("/run/datafold/")
        assert name not in config
    assert not of_kind("Secret")


@pytest.mark.one_stack
def test_the_server_has_no_complaint_about_these_settings(tmp_path: Path) -> None:
    """`check --deploy` with the ConfigMap's variables and the secret's files, as the operators' guide makes them."""
    secret = {
        "secret_key": secrets.token_urlsafe(64),
        "encryption_keys": Fernet.generate_key().decode(),
        "database_url": "postgres://datafold@database.example.com/datafold",
        "redis_url": "redis://redis.example.com:6379/0",
        "email_url": "submission://datafold:password@mail.example.com",
    }
    for name, value in secret.items():
        (tmp_path / name).write_text(value)
    config = of_kind("ConfigMap")["datafold"]["data"]
    moved = {name: value.replace("/run/datafold", str(tmp_path)) for name, value in config.items()}
    inherited = {name: value for name, value in os.environ.items() if name not in server_variables()}
    result = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=PROJECT,
        env={**inherited, **moved, "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    guide = (PROJECT / "docs/operating.md").read_text()
    assert set(re.findall(r"--from-file=(\w+)", guide)) == set(secret)


def test_web_is_watched_and_scaled() -> None:
    (container,) = pods()["web"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["startupProbe"]["httpGet"]["path"] == "/health/live"
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert container[probe]["timeoutSeconds"] > 3  # health is bounded by three seconds
    scaler = of_kind("HorizontalPodAutoscaler")["web"]["spec"]
    assert scaler["minReplicas"] >= 2
    assert "replicas" not in of_kind("Deployment")["web"]["spec"]  # else each apply would undo the scaling
    assert of_kind("Deployment")["beat"]["spec"]["replicas"] == 1
    assert of_kind("Deployment")["beat"]["spec"]["strategy"] == {"type": "Recreate"}


def test_selectors_find_their_pods() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods().items()}
    for name, deployment in of_kind("Deployment").items():
        assert deployment["spec"]["selector"]["matchLabels"] == labels[name]
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"] == labels[name]
        assert budget["spec"]["minAvailable"] == 1
    assert of_kind("Service")["web"]["spec"]["selector"] == labels["web"]
    for policy in of_kind("NetworkPolicy").values():
        wanted = policy["spec"]["podSelector"].get("matchLabels", {}).items()
        assert any(wanted <= found.items() for found in labels.values())


def test_everything_is_closed_first() -> None:
    closed = of_kind("NetworkPolicy")["nothing"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name in ("worker", "deliveries"):
        outside = of_kind("NetworkPolicy")[f"{name}-to-outside"]["spec"]["egress"][0]["to"][0]["ipBlock"]
        assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(outside["except"])


def test_webhooks_find_a_way_out_by_every_port_that_they_may_have() -> None:
    policy = of_kind("NetworkPolicy")["deliveries-to-outside"]["spec"]
    assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": "deliveries"}
    default = "import project.settings as s; print(s.DATAFOLD_WEBHOOK_PORTS)"
    done = run_python(["-c", default], environment={**os.environ, "DATAFOLD_DEVELOPMENT": "false"})
    assert str([rule["port"] for rule in policy["egress"][0]["ports"]]) == done.stdout.strip()


def test_kustomize_builds_it() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on the PATH")
    built = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    assert len(list(yaml.safe_load_all(built.stdout))) == len(manifests())
