"""Prometheus metrics. Labels are bounded: routes and not paths, codes and not messages."""
