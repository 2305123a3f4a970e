from keys.models.approval import Approval
from keys.models.enrolment import EnrolmentToken
from keys.models.key import FINAL, TRANSITIONS, USED_UP, VERIFYING, Key, KeyStatus, RevocationReason
from keys.models.notice import DailySummary, ExpiryWarning, RotationNotice, UsageFlush
from keys.models.replay import RateCounter, ReplayMode, ReplayStoreName, SpentNonce
from keys.models.server_key import ServerKey
from keys.models.usage import HourTotal, KeyUsage, Refusal, RefusalCount

__all__ = [
    "FINAL",
    "TRANSITIONS",
    "USED_UP",
    "VERIFYING",
    "Approval",
    "DailySummary",
    "EnrolmentToken",
    "ExpiryWarning",
    "HourTotal",
    "Key",
    "KeyStatus",
    "KeyUsage",
    "RateCounter",
    "Refusal",
    "RefusalCount",
    "ReplayMode",
    "ReplayStoreName",
    "RevocationReason",
    "RotationNotice",
    "ServerKey",
    "SpentNonce",
    "UsageFlush",
]
