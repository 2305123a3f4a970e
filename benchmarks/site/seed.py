"""Make what the throughput benchmark asks for, and print it as JSON: run inside the server's environment."""

from __future__ import annotations

import json
from datetime import timedelta

import django

django.setup()

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402
from rest_framework_api_key.models import APIKey  # noqa: E402
from rest_framework_simplejwt.tokens import AccessToken  # noqa: E402

from accounts.audit import Actor  # noqa: E402
from accounts.models import Client  # noqa: E402
from benchmarks.site import peers  # noqa: E402
from benchmarks.site.models import PeerKey  # noqa: E402
from keys import lifecycle  # noqa: E402
from keys.httpsig import load_public_key  # noqa: E402
from keys.registration import Registration, register  # noqa: E402


def main() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    key = register(Registration(public_key=load_public_key(public.hex()), client_id="bench"))
    lifecycle.approve(key, actor=Actor.system("benchmark"))
    Client.objects.filter(client_id="bench").update(rate_limit=100_000_000)
    PeerKey.objects.create(key_id="bench", public_key=public)
    user = get_user_model().objects.create_user("bench")
    access = AccessToken()
    access["user_id"] = str(user.pk)
    access.set_exp(lifetime=timedelta(days=30))
    eddsa = peers.EdDSAAuthentication.backend_from_settings().encode(
        {"user_id": user.pk, "exp": 4_000_000_000}
    )
    _, api_key = APIKey.objects.create_key(name="bench")
    print(
        json.dumps(
            {
                "private_key": private.private_bytes_raw().hex(),
                "token": Token.objects.create(user=user).key,
                "hs256": str(access),
                "eddsa": eddsa,
                "api_key": api_key,
            }
        )
    )


main()
