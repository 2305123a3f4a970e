"""Bodies that the calls of the API take, for the OpenAPI document. A test sends each of them."""

from __future__ import annotations

from typing import Any

ED25519 = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
JWK = {"kty": "OKP", "crv": "Ed25519", "x": "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}
ORDERS = [
    {"name": "order_id", "type": "string", "required": True},
    {"name": "total", "type": "decimal", "required": True},
    {"name": "status", "type": "enum", "values": ["new", "paid", "sent"]},
]
ORDERS_WITH_NOTE = [*ORDERS, {"name": "note", "type": "string", "description": "For the packer."}]
JSON_SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "total": {"type": "number"}},
    "required": ["order_id"],
}

# By operationId, then by what the example shows.
REQUESTS: dict[str, dict[str, Any]] = {
    "auth_test_create": {"anything": {"hello": "world"}},
    "crypto_keys_register_create": {
        "Ed25519, hexadecimal": {"client_id": "billing", "public_key": ED25519, "key_name": "nightly run"},
        "JWK": {"client_id": "reports", "public_key": JWK, "metadata": {"team": "finance"}},
    },
    "crypto_keys_revoke_destroy": {"why": {"reason": "cessationOfOperation"}},
    "crypto_keys_update_update": {"both": {"key_name": "nightly run", "metadata": {"team": "finance"}}},
    "crypto_signatures_verify_create": {
        "text": {"client_id": "billing", "message": "what was signed", "signature": "00" * 64}
    },
    "operators_clients_create": {
        "a client": {
            "client_id": "warehouse",
            "name": "Warehouse",
            "contact_email": "warehouse@example.com",
            "scopes": ["schemas:read"],
            "allowed_networks": ["192.0.2.0/24"],
        }
    },
    "operators_clients_partial_update": {"a limit": {"rate_limit": 600, "reason": "as agreed"}},
    "operators_clients_suspend_create": {"why": {"reason": "invoices unpaid"}},
    "operators_clients_reactivate_create": {"why": {"reason": "paid"}},
    "operators_enrolment_tokens_create": {"for somebody new": {"note": "the new shop", "lifetime_hours": 48}},
    "operators_users_create": {"a manager": {"username": "mara", "role": "manager"}},
    "operators_users_role_create": {"a role": {"role": "auditor", "reason": "changed teams"}},
    "operators_users_deactivate_create": {"why": {"reason": "left"}},
    "operators_users_reactivate_create": {"why": {"reason": "is back"}},
    "schemas_create": {
        "fields": {"name": "orders", "description": "Orders as the shop sends them.", "fields": ORDERS},
        "JSON Schema": {"name": "orders-json", "format": "jsonschema", "content": JSON_SCHEMA},
    },
    "schemas_partial_update": {"both": {"description": "Orders.", "compatibility": "FULL"}},
    "schemas_versions_create": {"a field more": {"version": "1.1.0", "fields": ORDERS_WITH_NOTE}},
    "schemas_compatibility_create": {"against the newest": {"fields": ORDERS_WITH_NOTE, "mode": "BACKWARD"}},
    "schemas_versions_validate_create": {
        "one": {"document": {"order_id": "A-1", "total": "9.90", "status": "new"}},
        "several": {"documents": [{"order_id": "A-1", "total": "9.90"}, {"order_id": 1}]},
    },
    "signatures_inspect_create": {
        "as text": {"raw": "GET /api/v1/auth/me HTTP/1.1\r\nHost: datafold.example.com\r\n\r\n"},
        "in parts": {
            "method": "GET",
            "url": "https://datafold.example.com/api/v1/auth/me",
            "headers": {"Signature-Input": 'sig1=("@method");keyid="billing"', "Signature": "sig1=:AA==:"},
        },
    },
    "webhooks_create": {
        "one's own keys": {
            "url": "https://hooks.example.com/datafold",
            "events": ["key.*", "client.suspended"],
        }
    },
    "webhooks_partial_update": {"a pause": {"active": False}, "other events": {"events": ["schema.*"]}},
}


def add_request_examples(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook of drf-spectacular."""
    for methods in result["paths"].values():
        for operation in methods.values():
            if examples := REQUESTS.get(operation.get("operationId", "")):
                operation["requestBody"]["content"]["application/json"]["examples"] = {
                    name: {"value": value} for name, value in examples.items()
                }
    return result
