"""The whole of DataFold on this machine, as it runs in earnest: each part a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections import Counter
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import httpx2
import psycopg
import redis
from datafold_sdk import ServerKeys

from benchmarks.chaos.network import HOST, INSIDE, NETWORK, REDIS, Namespace
from benchmarks.chaos.part import Part
from benchmarks.chaos.supervisor import Supervisor
from benchmarks.chaos.webhooks import WebhookReceiver
from tests.edge.nginx import NGINX, configure, make_certificate
from tests.support.services import REDIS_SERVER, create_cluster, free_port
from tests.support.stack import PROJECT, server_variables

LOOPBACK = "127.0.0.1"
DATABASE = "chaos"
NGINX_LOOKS_AGAIN = 3.0
"""Seconds; its `fail_timeout` and a little more."""


class Installation:
    """Two web servers behind nginx, PostgreSQL, Redis, two workers, beat; and a receiver of webhooks.

    Args:
        folder: for everything that they write.
        namespace: where the second web server lives; None: beside the first.
    """

    def __init__(self, folder: Path, namespace: Namespace | None) -> None:
        self.folder = folder
        self.namespace = namespace
        self.port = free_port()
        self.origin = f"https://localhost:{self.port}"
        self.certificate = make_certificate(folder)
        self.trust = ssl.create_default_context(cafile=self.certificate)
        self.webhooks = WebhookReceiver(_server_tls(folder))
        self._supervisor: Supervisor | None = None
        self.clock_file = folder / "clock"
        self.clock_file.write_text("0")
        self._ports = {name: free_port() for name in ("postgres", "redis", "web-1", "web-2", "http")}
        self._secret = os.urandom(32)
        data = folder / "data"
        data.mkdir()
        self.postgres = self._postgres()
        self.redis = self._redis()
        self.webs = [
            self._web("web-1", LOOPBACK, LOOPBACK, LOOPBACK),
            self._web("web-2", INSIDE, HOST, REDIS) if namespace else self._web("web-2", *[LOOPBACK] * 3),
        ]
        self.workers = [self._worker(number) for number in (1, 2)]
        self.beat = self._beat()
        self.nginx = self._nginx()

    @property
    def parts(self) -> list[Part]:
        """In the order in which they start."""
        return [self.postgres, self.redis, *self.webs, *self.workers, self.beat, self.nginx]

    def start(self) -> None:
        self.postgres.start()
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        self.redis.start()
        self.manage("migrate", "--verbosity=0")
        for part in self.parts[2:]:
            part.start(wait=False)
        for part in self.parts[2:]:
            part.wait()
        self._supervisor = Supervisor(self.parts)
        self.webhooks.keys = ServerKeys.from_jwks(self._server_keys())

    def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.stop()
        for part in reversed(self.parts):
            part.stop()
        self.webhooks.receiver.stop()

    def use_fallback(self) -> None:
        """Restart the web servers, one after the other, with the database as a fallback for Redis."""
        for web in self.webs:
            web.environment["DATAFOLD_REPLAY_FALLBACK"] = "database"
            web.stop()
            web.start()
            time.sleep(NGINX_LOOKS_AGAIN)

    def manage(self, *arguments: str, stdin: str = "") -> str:
        """Run `manage.py …`; what it printed. Raises RuntimeError if it fails."""
        result = self.run("manage.py", *arguments, stdin=stdin)
        if result.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)}:\n{result.stdout}{result.stderr}")
        return result.stdout

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a Python program in the environment of the first web server."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=self.webs[0].environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def dsn(self, database: str = DATABASE, host: str = LOOPBACK) -> str:
        return f"postgres://postgres@{host}:{self._ports['postgres']}/{database}"

    def redis_client(self) -> redis.Redis:
        return redis.Redis(port=self._ports["redis"], socket_timeout=5)

    def empty_redis(self) -> None:
        """Take away what Redis keeps on disk; it must be down."""
        shutil.rmtree(self.folder / "redis")
        (self.folder / "redis").mkdir()

    def set_second_clock(self, offset: float) -> None:
        """Set the clock of the second web server, `offset` seconds from the right time."""
        self.clock_file.write_text(str(offset))

    @property
    def restarts(self) -> Counter[str]:
        """How often a part ended by itself, by name."""
        return self._supervisor.restarts if self._supervisor else Counter()

    def uncounted_uses(self) -> bool:
        """Whether Redis holds uses of keys that are not in the database yet."""
        with self.redis_client() as client:
            return any(next(client.scan_iter(match=f"df:{kind}:*"), None) for kind in ("use", "flush"))

    def replay_store(self) -> str:
        """Which store of nonces counts, where there is a fallback."""
        with psycopg.connect(self.dsn(), connect_timeout=2) as connection:
            row = connection.execute("SELECT store FROM keys_replaymode").fetchone()
        return str(row[0]) if row else "redis"

    def _server_keys(self) -> bytes:
        directory = f"{self.origin}/.well-known/http-message-signatures-directory"
        return httpx2.get(directory, verify=self.trust, trust_env=False).content

    # --- The parts ------------------------------------------------------------------------------------

    def _environment(self, database_host: str, redis_host: str, **variables: str) -> dict[str, str]:
        """Production settings; what is one address here is many out there, so no limit by address."""
        inherited = {name: value for name, value in os.environ.items() if name not in server_variables()}
        return {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "SECRET_KEY": self._secret.hex(),
            "DATAFOLD_ENCRYPTION_KEYS": urlsafe_b64encode(self._secret).decode(),
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            "DATAFOLD_PUBLIC_ORIGINS": self.origin,
            "DATAFOLD_TRUSTED_PROXIES": f"{LOOPBACK}/32,{NETWORK}",
            "DATABASE_URL": self.dsn(host=database_host),
            "REDIS_URL": f"redis://{redis_host}:{self._ports['redis']}/0",
            "DATA_DIR": str(self.folder / "data"),
            "EMAIL_URL": f"file:///{self.folder / 'mail'}",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "WARNING",
            "DATAFOLD_ANONYMOUS_RATE": "1000000/minute",
            "DATAFOLD_REGISTRATION_RATE": "1000000/minute",
            "DATAFOLD_FAILURE_RATE": "1000000/minute",
            "DATAFOLD_RATE_LIMIT_PER_MINUTE": "1000000",
            "DATAFOLD_WEBHOOK_PORTS": str(self.webhooks.receiver.port),
            "DATAFOLD_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
            "SSL_CERT_FILE": str(self.certificate),
            **variables,
        }

    def _postgres(self) -> Part:
        cluster = create_cluster(self.folder)
        with (cluster.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NETWORK} trust\n")
        addresses = [LOOPBACK, HOST] if self.namespace else [LOOPBACK]
        options = {"port": str(self._ports["postgres"]), "listen_addresses": ",".join(addresses)}
        return Part(
            "PostgreSQL",
            cluster.command(options),
            environment=dict(os.environ),
            log=self.folder / "postgres.log",
            answers=self._postgres_answers,
            stop_signal=signal.SIGINT,
            cwd=self.folder,
            **cluster.identity,
        )

    def _postgres_answers(self) -> bool:
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _redis(self) -> Part:
        folder = self.folder / "redis"
        folder.mkdir()
        addresses = [LOOPBACK, REDIS] if self.namespace else [LOOPBACK]
        port = self._ports["redis"]
        return Part(
            "Redis",
            [
                *(str(REDIS_SERVER), "--port", str(port), "--bind", *addresses, "--protected-mode", "no"),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
                *("--maxmemory", "512mb", "--maxmemory-policy", "noeviction", "--dir", str(folder)),
            ],
            environment=dict(os.environ),
            log=self.folder / "redis.log",
            answers=lambda: _accepts(LOOPBACK, port),
        )

    def _web(self, name: str, host: str, database_host: str, redis_host: str) -> Part:
        port = self._ports[name]
        environment = self._environment(
            database_host, redis_host, HOST=host, PORT=str(port), WORKERS="2", THREADS="4"
        )
        gunicorn = ["gunicorn", "-c", "gunicorn.conf.py", "project.wsgi:application"]
        command = [sys.executable, "-m", *gunicorn]
        if name == "web-2":
            command = [sys.executable, "-m", "benchmarks.chaos.clock", str(self.clock_file), *gunicorn]
            command = [*(self.namespace.prefix if self.namespace else []), *command]
        return Part(
            name,
            command,
            environment=environment,
            log=self.folder / f"{name}.log",
            answers=lambda: _is_live(f"http://{host}:{port}/health/live"),
            cwd=PROJECT,
        )

    def _celery(self, name: str, *arguments: str) -> Part:
        log = self.folder / f"{name}.log"
        return Part(
            name,
            [sys.executable, "-m", "celery", "--app", "benchmarks.chaos.timetable", *arguments],
            environment=self._environment(LOOPBACK, LOOPBACK),
            log=log,
            answers=lambda: True,
            cwd=PROJECT,
        )

    def _worker(self, number: int) -> Part:
        name = f"worker-{number}"
        return self._celery(
            name, "worker", "--concurrency", "1", "--hostname", f"{name}@chaos", "--loglevel", "warning"
        )

    def _beat(self) -> Part:
        schedule = str(self.folder / "beat")
        return self._celery("beat", "beat", "--schedule", schedule, "--pidfile", "", "--loglevel", "warning")

    def _nginx(self) -> Part:
        servers = [
            f"{web.environment['HOST']}:{web.environment['PORT']}" for web in self.webs
        ]  # the template names one server; several are several lines
        configure(
            self.folder,
            {
                "DATAFOLD_PUBLIC_ORIGIN": self.origin,
                "DATAFOLD_UPSTREAM": " fail_timeout=2s;\n    server ".join(servers),
                "DATAFOLD_HTTP_LISTEN": f"{LOOPBACK}:{self._ports['http']}",
                "DATAFOLD_HTTPS_LISTEN": f"{LOOPBACK}:{self.port}",
                "DATAFOLD_TLS_CERTIFICATE": str(self.certificate),
                "DATAFOLD_TLS_KEY": str(self.folder / "key.pem"),
                "DATAFOLD_ACCESS_LOG": str(self.folder / "access.log"),
                "DATAFOLD_CONNECTIONS_PER_ADDRESS": "200",
                "DATAFOLD_MAX_BODY": "16m",
            },
        )
        return Part(
            "nginx",
            [str(NGINX), "-c", str(self.folder / "nginx.conf")],
            environment=dict(os.environ),
            log=self.folder / "nginx.log",
            answers=lambda: _accepts(LOOPBACK, self.port),
        )


def _server_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _is_live(url: str) -> bool:
    request = Request(url, headers={"Host": "localhost"})
    try:
        build_opener(ProxyHandler({})).open(request, timeout=3).close()
    except OSError:
        return False
    return True
