"""What the holder of a key should know before the key stops working: `meta.warnings` of its answers."""

from __future__ import annotations

from datetime import datetime, timedelta

from keys.directory import KeyRecord
from keys.models import KeyStatus

EXPIRES_SOON = timedelta(days=30)
HOW_TO_ROTATE = "Rotate: POST /api/v1/crypto/keys/rotate, signed by this key and by the new one."


def advice_for(key: KeyRecord, now: datetime) -> list[str]:
    """One sentence for each reason to act on this key; [] for nearly every key.

    It runs on every signed request: three comparisons and no look into the database.
    """
    name = f"The key {key.thumbprint[:8]}"
    if key.status == KeyStatus.RETIRING and key.retire_at is not None:
        return [f"{name} is retiring and verifies until {_day(key.retire_at)} only. Sign with its successor."]
    advice = []
    if key.rotate_by is not None:
        late = ", which has passed" if key.rotate_by <= now else ""
        advice.append(
            f"The operators ask you to replace the key {key.thumbprint[:8]} by {_day(key.rotate_by)}{late}. "
            f"{HOW_TO_ROTATE}"
        )
    if key.expires_at is not None and key.expires_at - now <= EXPIRES_SOON:
        advice.append(f"{name} expires on {_day(key.expires_at)}. {HOW_TO_ROTATE}")
    return advice


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
