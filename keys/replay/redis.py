"""The nonce store on Redis: one script, one round trip.

What makes it safe:

- A nonce is remembered until `created` + window + skew, so there is no moment in which a
  signature is still fresh and its nonce forgotten.
- Redis that loses its memory must not let old signatures in. Each client's state says since when
  this memory is complete (`b`), and signatures created before that, by the clock skew that the
  profile grants, are refused as unverifiable. State that is missing is begun anew, now.
- A restarted Redis may come back with all but its last second. Every restart drops every
  connection, so each new connection asks which run it talks to; the first that meets a new run
  moves the beginning of memory for everyone.
- An eviction policy would forget nonces silently, so only `noeviction` is accepted: a full Redis
  answers with an error, which is a 503 here.

All keys of a client share one hash tag, so that the script also runs on a cluster.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from keys.errors import ReplayCheckUnavailable
from keys.replay.base import Outcome, Spend, Spent

log = logging.getLogger(__name__)

WINDOW_SECONDS = 60
FRESH_OFFSET = 10
USAGE_PREFIX = "df:use:"

# KEYS: state, nonce, rate, usage. ARGV: epoch or "*", created - skew, nonce ttl (ms) or 0,
# rate limit, rest of the window (ms), usage field.
# Answers requests left + 10 when fresh, else an Outcome's number.
SPEND = """
local s = redis.call('HMGET', KEYS[1], 'e', 'b')
if not s[1] or not s[2] then return 3 end
if ARGV[1] ~= '*' and s[1] ~= ARGV[1] then return 2 end
if tonumber(ARGV[2]) <= tonumber(s[2]) then return 4 end
local n = redis.call('INCR', KEYS[3])
if n == 1 then redis.call('PEXPIRE', KEYS[3], ARGV[5]) end
local left = tonumber(ARGV[4]) - n
if left < 0 then return 5 end
if ARGV[3] ~= '0' and not redis.call('SET', KEYS[2], '1', 'PX', ARGV[3], 'NX') then return 1 end
redis.call('HINCRBY', KEYS[4], ARGV[6], 1)
return left + 10
"""

# ARGV: epoch, "1" while its transaction is open, memory's beginning or "" to leave it.
# "~7" is epoch 7 in flux. An announcement never replaces a newer one: two may arrive out of order.
ANNOUNCE = """
local e = redis.call('HGET', KEYS[1], 'e')
if e and tonumber((string.gsub(e, '~', ''))) > tonumber(ARGV[1]) then return 0 end
if ARGV[2] == '1' then
  redis.call('HSET', KEYS[1], 'e', '~' .. ARGV[1])
  redis.call('EXPIRE', KEYS[1], 60)
else
  redis.call('HSET', KEYS[1], 'e', ARGV[1])
  redis.call('PERSIST', KEYS[1])
end
if ARGV[3] ~= '' then redis.call('HSETNX', KEYS[1], 'b', ARGV[3]) end
return 1
"""

# Never replaces what is there: an epoch in flux must stay in flux.
RECALL = """
redis.call('HSETNX', KEYS[1], 'e', ARGV[1])
redis.call('HSETNX', KEYS[1], 'b', ARGV[2])
return 1
"""

# Remembers which run of the server this memory belongs to; answers since when it is complete.
BEGIN = """
local r = redis.call('HMGET', KEYS[1], 'id', 'since')
if r[1] == ARGV[1] then return r[2] end
local since = '0'
if r[1] then
  local t = redis.call('TIME')
  since = t[1] .. '.' .. string.format('%06d', t[2])
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'since', since)
return since
"""


class RedisReplayStore:
    """One per process; the connection pool inside is safe for threads.

    Args:
        url: redis:// or rediss:// URL.
        timeout: seconds to connect and to wait for an answer.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._redis: redis.Redis = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # A retry would spend the nonce and then call it replayed; the caller signs again.
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._on_connect,
        )
        self._spend = self._redis.register_script(SPEND)
        self._announce = self._redis.register_script(ANNOUNCE)
        self._recall = self._redis.register_script(RECALL)
        self._begun = 0.0
        self._lock = threading.Lock()

    def spend(self, spend: Spend) -> Spent:
        tag = "{" + spend.client_id + "}"
        window = int(spend.now // WINDOW_SECONDS)
        window_rest = (window + 1) * WINDOW_SECONDS - spend.now
        oldest = spend.created - spend.clock_skew
        answer = int(
            self._ask(
                self._spend,
                [
                    f"df:st:{tag}",
                    f"df:n:{tag}:{spend.nonce}",
                    f"df:r:{tag}:{window}",
                    f"{USAGE_PREFIX}{tag}",
                ],
                [
                    "*" if spend.epoch is None else spend.epoch,
                    oldest,
                    int((spend.remember_until - spend.now) * 1000) + 1000 if spend.nonce else 0,
                    spend.rate_limit,
                    int(window_rest * 1000) + 1000,
                    f"{spend.key_id}|{int(spend.now // 3600)}",
                ],
            )
        )
        # Looked at after the round trip: its connection may have been the first to meet a new run.
        if oldest <= self._begun:
            return Spent(Outcome.TOO_EARLY)
        reset = int(window_rest) + 1
        if answer >= FRESH_OFFSET:
            return Spent(Outcome.FRESH, spend.rate_limit, answer - FRESH_OFFSET, reset)
        return Spent(Outcome(answer), spend.rate_limit, 0, reset)

    def announce(self, client_id: str, epoch: int, *, in_flux: bool) -> None:
        self._ask(self._announce, [_state(client_id)], [epoch, int(in_flux), "" if in_flux else time.time()])

    def announce_new(self, client_id: str, epoch: int) -> None:
        self._ask(self._announce, [_state(client_id)], [epoch, 0, 0])

    def recall(self, client_id: str, epoch: int, now: float) -> None:
        self._ask(self._recall, [_state(client_id)], [epoch, now])

    def current_epoch(self, client_id: str) -> int | None:
        try:
            epoch = self._redis.hget(_state(client_id), "e")
        except (redis.RedisError, OSError) as error:
            raise unavailable(error) from error
        return int(epoch) if epoch is not None and epoch.isdigit() else None

    def _ask(self, script: Script, keys: list[str], args: list[Any]) -> Any:
        try:
            return script(keys=keys, args=args)
        except (redis.RedisError, OSError) as error:
            raise unavailable(error) from error

    def _on_connect(self, connection: Any) -> None:
        """Log in as usual, then learn which run of the server this is and whether it may forget."""
        connection.on_connect()
        connection.send_command("INFO")
        facts = parse_info(connection.read_response())
        if facts.get("maxmemory", "0") != "0" and facts.get("maxmemory_policy") != "noeviction":
            connection.disconnect()
            raise redis.ConnectionError(
                f"Redis would evict nonces (maxmemory-policy {facts.get('maxmemory_policy')}); set it to noeviction"
            )
        connection.send_command("EVAL", BEGIN, 1, "df:run", facts["run_id"])
        since = float(connection.read_response())
        with self._lock:
            self._begun = max(self._begun, since)


def parse_info(answer: bytes | str) -> dict[str, str]:
    text = answer.decode() if isinstance(answer, bytes) else answer
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def unavailable(error: Exception) -> ReplayCheckUnavailable:
    log.warning("the replay store cannot answer: %s", error)
    return ReplayCheckUnavailable(
        "The server cannot rule out a replay at the moment, so it lets nothing in. Sign the request again "
        "with a new nonce and send it after the seconds that Retry-After gives.",
        retry_after=1,
    )


def _state(client_id: str) -> str:
    return f"df:st:{{{client_id}}}"
