"""Large bodies: streamed to disk, their digest checked on the way, never in memory as a whole."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from keys.httpsig import StreamDigest
from project.errors import DomainError

UPLOAD_PATH = re.compile(r"/api/(?:v1/)?schemas/[^/]+/versions/[0-9]+/validate-file/?")
PIECE = 256 * 1024


class UploadBroken(DomainError):
    """The body ended before its declared length."""

    code = "INVALID_REQUEST"


class StorageFull(DomainError):
    code = "SERVICE_UNAVAILABLE"


def is_upload(request: HttpRequest) -> bool:
    """Whether the request goes to a call that streams its body."""
    return request.method == "POST" and UPLOAD_PATH.fullmatch(request.path) is not None


def uploads_folder() -> Path:
    """Where uploads lie until they are validated: every worker must see the same folder."""
    folder = settings.DATA_DIR / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(folder)


def receive_upload(request: HttpRequest) -> Path:
    """Stream the body of `request`, whose signature was verified, into a file of its own.

    Raises:
        DigestMissing, DigestMalformed, DigestMismatch: nothing is kept.
        UploadBroken: the connection ended too early.
        StorageFull: the disk is.
    """
    digest = StreamDigest(request.META.get("HTTP_CONTENT_DIGEST"))
    path = uploads_folder() / uuid.uuid4().hex
    try:
        with path.open("xb") as file:
            while piece := request.read(PIECE):
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        _check_length(request, digest.length)
        digest.check()
    except BaseException as error:
        path.unlink(missing_ok=True)
        raise _explained(error) from error
    return path


def _check_length(request: HttpRequest, length: int) -> None:
    declared = int(request.META.get("CONTENT_LENGTH") or 0)
    if length != declared:
        raise UploadBroken(
            f"The body ended after {length} of {declared} bytes. Nothing was kept; send it again, signed anew."
        )


def _explained(error: BaseException) -> BaseException:
    if isinstance(error, UnreadablePostError):
        return UploadBroken("The connection ended before the body did. Send it again, signed anew.")
    if isinstance(error, OSError):
        return StorageFull(
            "The server cannot store the upload at the moment. Try again later.", retry_after=60
        )
    return error
