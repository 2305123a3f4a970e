"""What a signature scheme with key and nonce in the database needs."""

from __future__ import annotations

from django.db import models


class PeerKey(models.Model):
    objects: models.Manager[PeerKey]

    key_id = models.CharField(max_length=64, unique=True)
    public_key = models.BinaryField()

    def __str__(self) -> str:
        return self.key_id


class PeerNonce(models.Model):
    objects: models.Manager[PeerNonce]

    nonce = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return self.nonce
