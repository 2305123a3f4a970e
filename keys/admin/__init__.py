"""The operators' pages on keys: the queue, the decisions, invitations and refusals."""

from keys.admin import keys, refusals, tokens

__all__ = ["keys", "refusals", "tokens"]
