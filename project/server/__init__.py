"""The application server's worker: what gunicorn's gthread worker leaves open to slow and hostile clients.

One thread does all waiting: it accepts connections, reads requests and writes answers, and never blocks.
A request goes to a thread that runs the application once it has arrived in full, so a slow client holds a
few bytes of memory and no thread. Named in `gunicorn.conf.py`; figures in docs/load.md.
"""
