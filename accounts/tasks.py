"""Celery tasks of the accounts; the jobs on a timetable are in `accounts.webhooks.jobs`."""

from __future__ import annotations

from uuid import UUID

from accounts.webhooks.delivery import deliver
from project.celery import app


@app.task(name="accounts.tasks.deliver_webhook", ignore_result=True)
def deliver_webhook(webhook_id: str) -> None:
    """Send what is due to one webhook. Delivered twice, the second finds the lease taken and returns."""
    deliver(UUID(webhook_id))
