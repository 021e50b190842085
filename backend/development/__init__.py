"""What only a development machine runs: embedded servers, `make run`'s supervisor, `make lint`'s checks.

Production starts `backend.asgi`, `backend.celery` and `manage.py`; what they import from here does nothing
when `DATABASE_URL` and `REDIS_URL` name real servers.
"""
