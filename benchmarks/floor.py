"""What an answer costs at least: an ASGI application that checks token and session as the product does, runs
the SQL that was written for a request by hand, and sends the rows as JSON.

`FLOOR_STATEMENTS` names a file of {name: [statement, …]}; `GET` or `POST /<name>` runs them in autocommit.
`uvicorn benchmarks.floor:application` serves it.
"""

import json
import os
from pathlib import Path
from typing import Any

import django
import orjson
import psycopg
from psycopg.rows import dict_row

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
django.setup()

from core.accounts.session_sql import _live_statement  # noqa: E402 (models need Django set up)
from core.accounts.tokens import read_access  # noqa: E402

STATEMENTS = json.loads(Path(os.environ["FLOOR_STATEMENTS"]).read_text())
_open: list[psycopg.AsyncConnection[Any]] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    body = await _answer(scope)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer(scope: Any) -> bytes:
    if scope["path"] == "/livez":
        return b"{}"
    token = read_access(dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer "))
    connection = await _connection()
    session = await connection.execute(_live_statement(), [token.session_id, token.user_id], prepare=True)
    assert await session.fetchone()
    found = []
    for statement in STATEMENTS[scope["path"].strip("/")]:
        rows = await connection.execute(statement, prepare=True)
        found.append(await rows.fetchall() if rows.description else [])
    return orjson.dumps(found, default=str)


async def _connection() -> psycopg.AsyncConnection[Any]:
    if not _open:
        connect = psycopg.AsyncConnection.connect(
            os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row
        )
        _open.append(await connect)
    return _open[0]
