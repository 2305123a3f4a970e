"""Celery tasks of the accounts, in the queue `deliveries`; the jobs on a timetable are in `accounts.webhooks.jobs`."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.webhooks.delivery import deliver, is_due
from accounts.webhooks.jobs import TASK_LIFETIME_SECONDS
from accounts.webhooks.subscriptions import carry_out_test
from project.celery import app


@app.task(name="accounts.tasks.deliver_webhook", ignore_result=True)
def deliver_webhook(webhook_id: str) -> None:
    """Send what is due to one webhook. Delivered twice, the second finds the lease taken and returns.

    What is left after its turn goes to the end of the queue.
    """
    pk = UUID(webhook_id)
    if deliver(pk) and is_due(pk, timezone.now()):
        with suppress(OperationalError):  # the next round of the job sees that it is due
            deliver_webhook.apply_async((webhook_id,), expires=TASK_LIFETIME_SECONDS)


@app.task(name="accounts.tasks.send_webhook_test", ignore_result=True)
def send_webhook_test(delivery_pk: int) -> None:
    """Send one test. Delivered twice, the second finds it done; after a killed worker it is sent again."""
    carry_out_test(delivery_pk)
