"""Webhooks: what happened here, told to whoever subscribed, signed by the server's key.

Pure parts (no Django, no clock, no I/O): `events`, `targets`, `message`, `redaction`, `backoff`, `gaps`.
Around them: `feed` turns audit events into deliveries, `delivery` sends them over `transport`,
`subscriptions` is what clients and operators do, `jobs` is what runs on a timetable.
"""
