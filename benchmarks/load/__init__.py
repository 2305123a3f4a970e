"""`make load`: how much DataFold carries, what gives out first, and whether it stays so. Writes docs/load.md.

Arrival times are fixed beforehand and a request's latency counts from its own, so a server that stalls is
charged for every request that it kept waiting (no coordinated omission).
"""
