"""The words of each decision: what it is called and what follows from it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from keys.decisions import Verb


class Words(NamedTuple):
    """`consequence` and `undo` are what the confirmation page states; one that `leads` is what the key waits for."""

    title: str
    button: str
    done: str
    consequence: str
    undo: str
    danger: bool
    leads: bool = False


WORDS: dict[Verb, Words] = {
    Verb.APPROVE: Words(
        "Approve",
        "Approve",
        "approved",
        "The key becomes active at once: whoever holds its private key may sign as this client, within its scopes.",
        "You can suspend or revoke it later.",
        False,
        True,
    ),
    Verb.REJECT: Words(
        "Reject",
        "Reject",
        "rejected",
        "The key never becomes active. The client sees your reason.",
        "This is final: the same key cannot be registered again.",
        True,
    ),
    Verb.SUSPEND: Words(
        "Suspend",
        "Suspend",
        "suspended",
        "From the next request on, signatures by this key are refused.",
        "You can reactivate it.",
        True,
    ),
    Verb.REACTIVATE: Words(
        "Reactivate",
        "Reactivate",
        "reactivated",
        "From the next request on, signatures by this key count again.",
        "You can suspend it again.",
        False,
        True,
    ),
    Verb.REVOKE: Words(
        "Revoke",
        "Revoke for good",
        "revoked",
        "From the next request on, signatures by this key are refused, for ever.",
        "This is final. To come back the client registers a new key with an enrolment token.",
        True,
    ),
    Verb.REQUEST_ROTATION: Words(
        "Ask to rotate",
        "Ask to rotate",
        "asked to rotate",
        "The client is asked to replace its key by the date. The key goes on working until then and after.",
        "Asking again moves the date.",
        False,
    ),
    Verb.ROLL_BACK: Words(
        "Roll back the rotation",
        "Roll back",
        "rolled back",
        "The old key becomes active again and does not retire. Its successor stays active too.",
        "The client can rotate again once the successor is final: revoke it if it must not count.",
        False,
    ),
    Verb.RETIRE: Words(
        "Retire now",
        "Retire now",
        "retired",
        "The grace ends at once: from the next request on, only the successor counts.",
        "This is final.",
        True,
    ),
    Verb.REPORT_COMPROMISE: Words(
        "Report as compromised",
        "Report as compromised",
        "reported as compromised",
        "The key counts no more as it is. Everything that it signed since then is marked as suspect, for every reader.",
        "Reporting it again moves the moment; each report stays in the audit log.",
        True,
    ),
}


def words_of_approval(missing: Collection[int]) -> Words:
    """What approving does where the keys need so many approvals more: under four eyes the first activates nothing."""
    words = WORDS[Verb.APPROVE]
    if not missing or max(missing) <= 1:
        return words
    if min(missing) <= 1:
        consequence = (
            "Keys that somebody approved already become active at once. The others wait for another operator."
        )
        return words._replace(consequence=consequence)
    return words._replace(
        consequence="Your approval is recorded, with these terms. The key becomes active when another operator agrees.",
        undo="Until then it can be rejected.",
    )
