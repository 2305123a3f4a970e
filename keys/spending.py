"""The last step of verification: the one round trip that rules out a replay."""

from __future__ import annotations

import logging

from django.conf import settings

from keys.directory import ClientRecord, KeyRecord
from keys.errors import NonceReused, RateLimited, ReplayCheckUnavailable
from keys.httpsig import PROFILES, Policy, UnverifiedSignature
from keys.replay import Outcome, Spend, Spent, replay_store
from keys.replay.database import WINDOW_SECONDS
from project.context import current_context
from project.ratelimit import Quota

log = logging.getLogger(__name__)

# Nonces are remembered as if every client had the widest profile: one whose profile is widened must not
# find its older signatures fresh again, with their nonces forgotten.
REMEMBER_SECONDS = max(policy.window_s + policy.clock_skew_s for policy in PROFILES.values())


def spend_nonce(
    signature: UnverifiedSignature,
    client: ClientRecord,
    key: KeyRecord,
    policy: Policy,
    *,
    from_database: bool,
    now: float,
) -> Spent:
    """Check epoch, replay and rate, and count the use, in one step.

    Args:
        from_database: `client` was read from the database for this very request, so its epoch is not asked.

    Raises:
        ReplayCheckUnavailable
    """
    created = signature.created or 0
    rate_limit = client.rate_limit
    return replay_store().spend(
        Spend(
            client_id=client.client_id,
            epoch=None if from_database else client.epoch,
            key_id=key.id,
            nonce=signature.nonce or "",
            created=created,
            clock_skew=policy.clock_skew_s,
            remember_until=float(created + REMEMBER_SECONDS),
            rate_limit=settings.DATAFOLD_RATE_LIMIT_PER_MINUTE if rate_limit is None else rate_limit,
            now=now,
        )
    )


def note_client_quota(spent: Spent) -> None:
    """Tell the caller of the client's limit, where the round trip counted it."""
    if spent.outcome in (Outcome.FRESH, Outcome.RATE_LIMITED):
        current_context().quota = Quota("client", spent.limit, WINDOW_SECONDS, spent.remaining, spent.reset)


def refuse_unless_fresh(spent: Spent) -> None:
    """Raises NonceReused, RateLimited or ReplayCheckUnavailable for every outcome but FRESH."""
    if spent.outcome is Outcome.FRESH:
        return
    if spent.outcome is Outcome.REPLAYED:
        raise NonceReused(
            "This nonce was used before, so this looks like a replay and nothing was done. A retry must be signed "
            "again with a new nonce."
        )
    if spent.outcome is Outcome.RATE_LIMITED:
        raise RateLimited(
            f"The client is over its limit of {spent.limit} requests per minute. Try again in {spent.reset} s.",
            retry_after=spent.reset,
            limit=spent.limit,
        )
    if spent.outcome is Outcome.CLOCK_WRONG:
        log.error("a clock is wrong: this server's, or that of the store of used nonces")
        raise ReplayCheckUnavailable(
            "The clock of this server and that of its memory of used nonces differ, so a replay cannot be ruled out. "
            "Sign the request again and send it once more: another server may answer. The operators have to set the "
            "clock right.",
            retry_after=1,
        )
    wait = spent.reset or 1
    raise ReplayCheckUnavailable(
        "The server's memory of used nonces begins after this request was signed, so a replay cannot be ruled out. "
        f"Sign the request again and send it in {wait} s, as Retry-After says.",
        retry_after=wait,
    )
