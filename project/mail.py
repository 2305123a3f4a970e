"""Mail: a template in, one message out, through whatever backend EMAIL_URL names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string


def send_mail(
    template: str, context: Mapping[str, Any], *, to: Sequence[str], identity: str, bcc: Sequence[str] = ()
) -> None:
    """Render `templates/mail/<template>.txt` (first line: the subject) and send it.

    Args:
        identity: what this mail is about, the same for every attempt to send it. It becomes the
            Message-ID, so a mail that goes out twice after a crash is one mail to its reader.

    Raises:
        OSError, smtplib.SMTPException: it was not sent.
    """
    text = render_to_string(
        f"mail/{template}.txt",
        {"app_name": settings.APP_NAME, "server_url": settings.DATAFOLD_SERVER_URL, **context},
    )
    subject, _, body = text.lstrip().partition("\n")
    message = EmailMessage(
        subject=" ".join(subject.split()),
        body=body.strip() + "\n",
        to=list(to),
        bcc=list(bcc),
        headers={"Message-ID": message_id(identity), "Auto-Submitted": "auto-generated"},
    )
    message.send()


def message_id(identity: str) -> str:
    digest = hashlib.sha256(f"{settings.DATAFOLD_SERVER_URL}\n{identity}".encode()).hexdigest()[:32]
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(" >") or "localhost"
    return f"<{digest}@{domain}>"
