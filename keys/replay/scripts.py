"""The Lua scripts of the nonce store on Redis. Each is one atomic step and one round trip.

A client's state is a hash: `e` its epoch ("~7" while the transaction that makes it 7 is open),
`f` until when such a mark is believed, `b` since when the nonces of this client are all known,
`r` the run of the Redis server for which that is true. `df:memory` has `b` and `r` for all clients of
which nothing is known: without a state no nonce can have been spent in this memory.

The only clock that counts is Redis' own. The servers that ask may have wrong ones, each another: one
that is slow must not let memory begin too early, nor take for fresh what is forgotten already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1

from keys.replay.base import CLOCK_MARGIN

FLUX_SECONDS = 60
MEMORY_KEY = "df:memory"
REGISTRY_EPOCH_KEY = "df:{schemas}:epoch"  # counted up by `schemas.epoch`


@dataclass(frozen=True, slots=True)
class Script:
    source: str
    keys: int
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        # EVALSHA's own name for a script, no matter of security.
        object.__setattr__(self, "sha", sha1(self.source.encode(), usedforsecurity=False).hexdigest())


# KEYS: state, nonce, rate, usage, all of one client and so of one slot of a cluster. ARGV: run, epoch or "*",
# created - skew, until when the nonce is remembered or 0, rate limit, rest of the window (ms), usage field.
# Answers how many requests are left, as a string, when fresh, else an Outcome's number, or -(seconds) of
# memory's beginning.
# Nothing is taken from the future: memory that begins anew now would not know that it was taken before.
# The nonce comes before the rate, so that replays do not use up the client's rate.
SPEND = Script(
    f"""
local call = redis.call
local s = call('HMGET', KEYS[1], 'e', 'b', 'r')
if not s[2] or s[3] ~= ARGV[1] then return 3 end
if ARGV[2] ~= s[1] and ARGV[2] ~= '*' then return 2 end
if ARGV[3] + 0 <= s[2] + 0 then return -math.ceil(s[2]) end
local t = call('TIME')
local now = t[1] + t[2] / 1000000
if ARGV[3] - now > {CLOCK_MARGIN} then return 6 end
if ARGV[4] ~= '0' then
  local left = math.ceil((ARGV[4] - now) * 1000)
  if left <= 0 then return 6 end
  if not call('SET', KEYS[2], '', 'PX', left + 1000, 'NX') then return 1 end
end
local n = call('INCR', KEYS[3])
if n == 1 then call('PEXPIRE', KEYS[3], ARGV[6]) end
if n > ARGV[5] + 0 then
  if ARGV[4] ~= '0' then call('DEL', KEYS[2]) end
  return 5
end
call('HINCRBY', KEYS[4], ARGV[7], 1)
return (ARGV[5] - n) .. ''
""",
    keys=4,
)

# KEYS: epoch of the registry. ARGV: run. A Redis that lost its memory counts from the beginning again:
# the run tells its epochs from those before.
REGISTRY_EPOCH = Script("return ARGV[1] .. '-' .. (redis.call('GET', KEYS[1]) or '0')", keys=1)

# KEYS: state. ARGV: run, epoch, "1" while its transaction is open.
# An announcement never replaces a newer one: two may arrive out of order.
ANNOUNCE = Script(
    f"""
local e = redis.call('HGET', KEYS[1], 'e')
if e and tonumber((string.gsub(e, '~', ''))) > tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'e', '~' .. ARGV[2], 'f', redis.call('TIME')[1] + {FLUX_SECONDS})
else
  redis.call('HSET', KEYS[1], 'e', ARGV[2])
end
return 1
""",
    keys=1,
)

# KEYS: state. ARGV: run, epoch. Of a client that did not exist every nonce is known.
ANNOUNCE_NEW = Script(
    """
redis.call('HSETNX', KEYS[1], 'e', ARGV[2])
if redis.call('HSETNX', KEYS[1], 'b', '0') == 1 then redis.call('HSET', KEYS[1], 'r', ARGV[1]) end
return 1
""",
    keys=1,
)

# KEYS: state, memory. ARGV: run, epoch as the database has it.
# Epochs only grow, so the greater one is the newer. A mark "in flux" is left alone until it is
# older than any transaction: then its transaction was rolled back, or died.
# Memory begins with the first who needs it, for all: who comes later is not refused for it again.
RECALL = Script(
    f"""
local s = redis.call('HMGET', KEYS[1], 'e', 'b', 'r', 'f')
local t = redis.call('TIME')
if not s[2] or s[3] ~= ARGV[1] then
  local m = redis.call('HMGET', KEYS[2], 'b', 'r')
  if not m[1] or m[2] ~= ARGV[1] then
    m[1] = string.format('%.3f', t[1] + t[2] / 1000000 + {CLOCK_MARGIN})
    redis.call('HSET', KEYS[2], 'r', ARGV[1], 'b', m[1])
  end
  redis.call('HSET', KEYS[1], 'r', ARGV[1], 'b', m[1])
end
local e = s[1]
local flux = e and string.sub(e, 1, 1) == '~'
if not e or (flux and tonumber(s[4] or '0') <= tonumber(t[1]))
  or (not flux and tonumber(e) < tonumber(ARGV[2])) then
  redis.call('HSET', KEYS[1], 'e', ARGV[2])
end
return 1
""",
    keys=2,
)

# KEYS: state. ARGV: run. Answers the epoch, or "" where nothing is known.
EPOCH = Script(
    """
local s = redis.call('HMGET', KEYS[1], 'e', 'r')
if s[2] ~= ARGV[1] then return '' end
return s[1] or ''
""",
    keys=1,
)
