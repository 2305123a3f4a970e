"""The nonce store on the database: a laptop's, small installations', and where Redis is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db import Error, connection, transaction
from django.db.models import F

from accounts.models import Client
from keys.models import Key, KeyUsage, RateCounter, SpentNonce
from keys.replay.base import Outcome, Spend, Spent, unavailable
from project.db.clock import unix_now_sql

WINDOW_SECONDS = 60


class DatabaseReplayStore:
    """The unique constraint on (client, nonce) is the check; the client's row holds the epoch.

    The database's clock alone says until when a nonce is remembered, as `keys.jobs.purge` forgets by it.
    """

    def spend(self, spend: Spend) -> Spent:
        with _unavailable_without_database(), transaction.atomic():
            if spend.epoch is not None and spend.epoch != _epoch(spend.client_id):
                return Spent(Outcome.STALE)
            # The nonce comes before the rate, so that replays do not use up the client's rate.
            if spend.nonce and not _remember_nonce(spend):
                return Spent(Outcome.REPLAYED if _is_remembered(spend) else Outcome.CLOCK_WRONG)
            window = int(spend.now // WINDOW_SECONDS) * WINDOW_SECONDS
            reset = int(window + WINDOW_SECONDS - spend.now) + 1
            count = count_in_window(f"client:{spend.client_id}", window)
            if count > spend.rate_limit:
                _forget_nonce(spend)
                return Spent(Outcome.RATE_LIMITED, spend.rate_limit, 0, reset)
            _count_usage(spend)
        return Spent(Outcome.FRESH, spend.rate_limit, max(0, spend.rate_limit - count), reset)

    def is_current(self, client_id: str, epoch: int) -> bool:
        with _unavailable_without_database():
            return _epoch(client_id) == epoch

    def announce(self, client_id: str, epoch: int, *, in_flux: bool) -> None:
        """Nothing to do: the epoch is read where it is written."""

    def announce_new(self, client_id: str, epoch: int) -> None:
        """Nothing to do."""

    def recall(self, client_id: str, epoch: int) -> None:
        """Nothing to do: this store forgets nothing."""


@contextmanager
def _unavailable_without_database() -> Iterator[None]:
    try:
        yield
    except Error as error:
        raise unavailable(error) from error


def _epoch(client_id: str) -> int | None:
    return Client.objects.values_list("epoch", flat=True).filter(client_id=client_id).first()


def _remember_nonce(spend: Spend) -> bool:
    table = connection.ops.quote_name(SpentNonce._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (client_id, nonce, expires_at) SELECT %s, %s, %s "
            f"WHERE %s > {unix_now_sql()} ON CONFLICT DO NOTHING",
            [
                spend.client_id,
                spend.nonce,
                datetime.fromtimestamp(spend.remember_until, UTC),
                spend.remember_until,
            ],
        )
        return bool(cursor.rowcount == 1)


def _is_remembered(spend: Spend) -> bool:
    return SpentNonce.objects.filter(client_id=spend.client_id, nonce=spend.nonce).exists()


def _forget_nonce(spend: Spend) -> None:
    if spend.nonce:
        SpentNonce.objects.filter(client_id=spend.client_id, nonce=spend.nonce).delete()


def _count_usage(spend: Spend) -> None:
    moment = datetime.fromtimestamp(spend.now, UTC)
    hour = moment.replace(minute=0, second=0, microsecond=0)
    usage, _ = KeyUsage.objects.get_or_create(key_id=spend.key_id, hour=hour)
    KeyUsage.objects.filter(pk=usage.pk).update(count=F("count") + 1)
    Key.objects.filter(pk=spend.key_id).update(usage_count=F("usage_count") + 1, last_used_at=moment)


def count_in_window(subject: str, window: int) -> int:
    """Count one more for `subject` in the window that began at `window`; returns the count."""
    table = connection.ops.quote_name(RateCounter._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (subject, {connection.ops.quote_name('window')}, count) VALUES (%s, %s, 1) "  # noqa: S608
            f"ON CONFLICT (subject, {connection.ops.quote_name('window')}) "
            f"DO UPDATE SET count = {table}.count + 1 RETURNING count",
            [subject, window],
        )
        row = cursor.fetchone()
    return int(row[0])
