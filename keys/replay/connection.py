"""One connection to Redis for each thread, and nothing between it and the script.

redis-py's pool and its command layer cost more than the script itself. Here a command is packed and
sent on the thread's own connection. A connection that Redis has closed meanwhile is noticed before
anything is sent on it (a look at the socket, no round trip), so a restart of Redis costs no request
that comes after it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import Any

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.exceptions import MasterDownError
from redis.retry import Retry

from keys.replay.base import unavailable
from keys.replay.scripts import Script

PROBE_KEY = "df:probe"
PROBE_MILLISECONDS = 1000


class RedisConnections:
    """Runs scripts; safe for threads and across forks.

    Args:
        url: redis://, rediss:// or unix:// URL.
        timeout: seconds to connect and to wait for an answer.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._timeout = timeout
        self._local = threading.local()
        self._silent_until = 0.0
        self._pool = redis.ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # A retry would spend the nonce and then call it replayed; the caller signs again.
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._on_connect,
        )

    def run(self, script: Script, *arguments: str | int | float, keys: tuple[str, ...]) -> Any:
        """Run the script with the server's run id as its first argument.

        Raises:
            ReplayCheckUnavailable: no answer, or an error for an answer (full, read-only, loading, …).
        """
        return self._run(script, arguments, keys, None)[0]

    def run_and_get(
        self, script: Script, *arguments: str | int | float, keys: tuple[str, ...], get: str
    ) -> tuple[Any, bytes | None]:
        """As `run`, and the value of the key `get` right after that, in the same round trip.

        The key need not be in the slot of the script's keys.
        """
        answer, value = self._run(script, arguments, keys, get)
        return answer, value

    @property
    def run_id(self) -> str:
        """Of the run of the server that has answered this thread last."""
        return str(self._local.run_id)

    def _run(
        self, script: Script, arguments: tuple[str | int | float, ...], keys: tuple[str, ...], get: str | None
    ) -> tuple[Any, Any]:
        if self._silent_until > time.monotonic():
            raise unavailable(f"no answer within {self._timeout:g} s a moment ago")
        try:
            connection = self._connection()
            command = (script.keys, *keys, self._local.run_id, *arguments)
            try:
                return self._ask(connection, ("EVALSHA", script.sha, *command), get)
            except redis.exceptions.NoScriptError:
                # Redis was restarted or its scripts were flushed: nothing has run, so ask again in full.
                return self._ask(connection, ("EVAL", script.source, *command), get)
        except redis.exceptions.TimeoutError as error:
            # While Redis swallows packets, one request at a time waits for it and not every thread.
            self._silent_until = time.monotonic() + self._timeout
            raise unavailable(error) from error
        except (redis.RedisError, OSError) as error:
            self._leave_if_replica(error)
            raise unavailable(error) from error

    def probe(self) -> bool:
        """Whether Redis takes a write from this process now. Never raises.

        Reading is not enough: one that is full, or has become a replica, answers and can spend no nonce.
        """
        try:
            connection = self._connection()
            connection.send_command("SET", PROBE_KEY, "", "PX", PROBE_MILLISECONDS)
            connection.read_response()
        except (redis.RedisError, OSError) as error:
            self._leave_if_replica(error)
            return False
        self._silent_until = 0.0
        return True

    def _leave_if_replica(self, error: Exception) -> None:
        """The name in the URL may lead to another server by now; an open connection would never look."""
        if isinstance(error, redis.ReadOnlyError | MasterDownError) or "-READONLY" in str(error):
            self._local.connection.disconnect()

    def _ask(
        self, connection: Any, command: tuple[str | int | float, ...], get: str | None
    ) -> tuple[Any, Any]:
        packed = pack_command(command)  # type: ignore[arg-type]  # its stub means a tuple of one
        if get is not None:
            packed += pack_command(("GET", get))  # type: ignore[arg-type]
        connection.send_packed_command((packed,), check_health=False)
        answer = _read(connection)
        # Also after an error: the next request would take what is left for its own answer.
        value = None if get is None else _read(connection)
        for each in (answer, value):
            if isinstance(each, redis.ResponseError):
                raise each
        return answer, value

    def _connection(self) -> Any:
        connection = getattr(self._local, "connection", None)
        if connection is None or connection.pid != os.getpid():
            connection = self._local.connection = self._pool.make_connection()
        elif connection.is_connected and self._local.poll(0):
            _drop_unless_clean(connection)
        if not connection.is_connected:
            connection.connect()
        return connection

    def _on_connect(self, connection: Any) -> None:
        """Log in as usual, then learn which run of the server this is, its role, and whether it may forget."""
        connection.on_connect()
        connection.send_command("INFO")
        facts = parse_info(connection.read_response())
        if facts.get("maxmemory", "0") != "0" and facts.get("maxmemory_policy") != "noeviction":
            raise redis.ConnectionError(
                f"Redis would evict nonces (maxmemory-policy {facts.get('maxmemory_policy')}); set it to noeviction"
            )
        if facts.get("role") == "slave":
            raise redis.ConnectionError("this Redis is a replica; let REDIS_URL lead to the primary")
        if not facts.get("run_id"):
            raise redis.ConnectionError(
                "INFO does not tell which run of the server this is; allow the command"
            )
        self._local.run_id = facts["run_id"][:16]
        # redis-py makes a new one for each look; nearly always there is nothing to see.
        poll = select.poll()
        poll.register(connection._sock, select.POLLIN)
        self._local.poll = poll.poll


def _read(connection: Any) -> Any:
    """An answer, which may be an error. Any other failure is raised, and has closed the connection."""
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _drop_unless_clean(connection: Any) -> None:
    """Disconnect what the server has closed, or what still holds somebody else's answer."""
    try:
        clean = not connection.can_read(0)
    except (redis.RedisError, OSError):
        clean = False
    if not clean:
        connection.disconnect()


def parse_info(answer: bytes | str) -> dict[str, str]:
    text = answer.decode() if isinstance(answer, bytes) else answer
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
