"""The guides of docs/integrations are run as they are printed."""

import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from backend.development.embedded import ports
from tests.live import ROOT, running_stack

pytestmark = pytest.mark.timeout(900)
GUIDES = ROOT / "docs" / "integrations"
NODE_MODULES = ROOT / "clients" / "node_modules"
BASH = ["bash", "-euo", "pipefail", "-c"]
STRICT = (
    "--noEmit --strict --target es2022 --module esnext --moduleResolution bundler --types node --skipLibCheck"
)
WAIT_S = 60
needs_node = pytest.mark.skipif(
    not NODE_MODULES.is_dir(), reason="`npm ci --prefix clients` brings the TypeScript tools"
)
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


@pytest.fixture(scope="module")
def address():
    # The receivers of the guides are on this machine.
    with running_stack(RATE_LIMIT_ENABLED="0", OUTBOUND_ALLOWED_HOSTS="127.0.0.1") as url:
        yield url


@pytest.fixture(scope="module")
def crm(address):
    """A client signed in as an administrator."""
    with httpx.Client(base_url=address, timeout=60) as client:
        tokens = client.post("/api/auth/login/", json={"username": "admin", "password": "password"}).json()
        client.headers["Authorization"] = f"Bearer {tokens['access']}"
        yield client


def key(crm, *scopes):
    """An API key with no more than these scopes."""
    return crm.post("/api/auth/api_keys/", json={"name": "Guide", "scopes": scopes}).json()["key"]


def printed(guide, language):
    """The blocks of a guide that are to be run, as one program."""
    text = (GUIDES / f"{guide}.md").read_text()
    blocks = re.findall(rf"^```{language} run\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, guide
    return "\n".join(blocks)


def environment(environ):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CRM_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH']}"
    return kept | environ


def run(command, folder, **environ):
    made = subprocess.run(
        command, cwd=folder, env=environment(environ), capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, f"{made.stdout[-3_000:]}\n{made.stderr[-3_000:]}"
    return made.stdout


@contextmanager
def started(command, folder, **environ):
    """A server of a guide once it listens; what it prints goes to the file that is given."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(environ),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: "listening" in log.read_text(), log.read_text)
        yield log
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(holds, described=str):
    """Come back once it holds, and with what it gave."""
    deadline = time.monotonic() + WAIT_S
    while not (found := holds()):
        assert time.monotonic() < deadline, described()
        time.sleep(0.05)
    return found


def test_the_python_client_does_what_its_guide_says(address, tmp_path):
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--output-path", "client"]
    output = run([*generate, "--path", str(ROOT / "docs" / "openapi.yaml")], tmp_path)
    assert "warning" not in output.lower()
    (tmp_path / "quickstart.py").write_text(printed("python", "python"))
    environ = {"CRM_URL": address, "PYTHONPATH": str(tmp_path / "client")}
    assert "finished 20" in run([sys.executable, "quickstart.py"], tmp_path, **environ)


def prepare_typescript(folder, guide):
    """The program of a guide with its types beside the packages, checked by the compiler."""
    (folder / "node_modules").symlink_to(NODE_MODULES)
    shutil.copy(ROOT / "clients" / "package.json", folder)
    (folder / f"{guide}.ts").write_text(printed(guide, "ts"))
    run([str(NODE_MODULES / ".bin" / "tsc"), *STRICT.split(), f"{guide}.ts"], folder)
    return [str(NODE_MODULES / ".bin" / "tsx"), f"{guide}.ts"]


def prepare_python(folder, guide):
    (folder / f"{guide}.py").write_text(printed(guide, "python"))
    return [sys.executable, f"{guide}.py"]


@needs_node
def test_the_typescript_client_does_what_its_guide_says(address, tmp_path):
    types = [str(NODE_MODULES / ".bin" / "openapi-typescript"), str(ROOT / "docs" / "openapi.yaml")]
    run([*types, "--output", "schema.d.ts"], tmp_path)
    program = prepare_typescript(tmp_path, "typescript")
    assert "contact" in run(program, tmp_path, CRM_URL=address)


@needs_node
@pytest.mark.skipif(
    not (NODE_MODULES / "ra-core").is_dir(), reason="`npm ci --prefix clients` brings React-admin"
)
def test_the_data_provider_of_react_admin_does_what_its_guide_says(address, tmp_path):
    prepare_typescript(tmp_path, "react-admin")
    # As a bundler for browsers does it: Node itself would take the CommonJS file of the package.
    bundle = "--bundle --platform=node --format=esm --main-fields=module,main --outfile=react-admin.mjs"
    run([str(NODE_MODULES / ".bin" / "esbuild"), "react-admin.ts", *bundle.split()], tmp_path)
    output = run(["node", "react-admin.mjs"], tmp_path, CRM_URL=address)
    calls = ("update", "getList", "filter", "getMany", "getManyReference", "delete", "errors")
    assert output.splitlines() == [f"{call} works" for call in calls]


@needs_curl
def test_the_tutorial_ends_with_a_won_deal(address, crm, tmp_path):
    output = run([*BASH, printed("../tutorial", "bash")], tmp_path, CRM_URL=address).splitlines()
    assert output[0] == "admin"
    assert "closed_won: 100 %" in output
    assert any(line.endswith("was converted") for line in output)
    [deal] = crm.get("/api/v1/opportunities/", params={"name": "One analytical engine"}).json()["results"]
    assert (deal["stage"], deal["status"], deal["amount"]) == ("closed_won", "won", "12000.00")


@needs_curl
def test_curl_does_what_its_guide_says(address, tmp_path):
    output = run([*BASH, printed("curl", "bash")], tmp_path, CRM_URL=address)
    for line in ("is new", "Analyst", "import finished: 2 created, 1 refused", "export finished: 3 rows"):
        assert line in output, output
    for name in ("leads-now.csv", "leads-job.csv"):
        rows = list(csv.DictReader((tmp_path / name).open(newline="")))
        assert [row["first_name"] for row in rows] == ["Ada", "Grace", "Jean"]


@needs_curl
def test_the_first_calls_of_the_readme_import_export_and_convert(address, crm, tmp_path):
    def converted():
        return crm.get("/api/v1/leads/", params={"status": "converted"}).json()["count"]

    (tmp_path / "examples").symlink_to(ROOT / "examples")
    before = converted()
    printed_calls = printed("../../README", "bash").replace("http://127.0.0.1:8000", address)
    run([*BASH, printed_calls], tmp_path)
    assert converted() == before + 1
    exported = list(csv.DictReader((tmp_path / "new-leads.csv").open(newline="")))
    assert "ada@engines.example" in {row["email"] for row in exported}


@needs_curl
def test_the_import_in_one_request_and_the_addresses_of_mcp_answer_as_printed(address, crm, tmp_path):
    (tmp_path / "leads.csv").write_text(
        "first_name,last_name,email,company\nMary,Somerville,mary@x.example,Sea\n"
    )
    token = crm.headers["Authorization"].removeprefix("Bearer ")
    upload = printed("../import-export", "bash").replace("http://127.0.0.1:8000", address)
    imported = json.loads(run([*BASH, upload], tmp_path, TOKEN=token))
    assert (imported["success"], imported["created"]) == (True, 1)
    discovery = printed("../agents", "bash").replace("https://crm.example.com", address)
    output = run([*BASH, discovery], tmp_path)
    assert '"authorization_servers"' in output
    assert '"code_challenge_methods_supported"' in output


def test_the_incremental_load_takes_over_what_changed_and_nothing_twice(address, crm, tmp_path):
    program = prepare_python(tmp_path, "incremental-load")
    environ = {"CRM_URL": address, "CRM_API_KEY": key(crm, "leads:read", "changes:read")}

    def loaded():
        return int(run(program, tmp_path, **environ, WAREHOUSE="warehouse.db"))

    def stored():
        with sqlite3.connect(tmp_path / "warehouse.db") as warehouse:
            return warehouse.execute("SELECT id FROM leads ORDER BY id").fetchall()

    assert loaded() > 0
    until(lambda: loaded() == 0)  # what other guides have begun in the background is over
    rows = stored()
    assert len(rows) == crm.get("/api/v1/leads/").json()["count"]
    crm.patch(f"/api/v1/leads/{rows[0][0]}/", json={"city": f"City {uuid4()}"})
    crm.delete(f"/api/v1/leads/{rows[1][0]}/")
    assert loaded() == 2
    assert stored() == [rows[0], *rows[2:]]


def test_polling_finds_each_state_once_while_others_write(address, crm, tmp_path):
    program = prepare_python(tmp_path, "polling")
    environ = {"CRM_URL": address, "CRM_API_KEY": key(crm, "leads:read"), "PAGE_SIZE": "5"}

    def polled():
        return [json.loads(line)["key"] for line in run(program, tmp_path, **environ).splitlines()]

    def write():
        for number in range(15):
            lead = crm.post("/api/v1/leads/", json={"first_name": f"Poll {number}"}).json()
            yield lead
            if number % 3 == 0:
                yield crm.patch(f"/api/v1/leads/{lead['id']}/", json={"city": f"City {uuid4()}"}).json()

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(lambda: list(write()))
        found = [polled()]
        while not written.done():
            found.append(polled())
    found.append(polled())
    keys = [one for part in found for one in part]
    last = {lead["id"]: lead["version"] for lead in written.result()}
    assert len(keys) == len(set(keys))
    assert {f"{pk}:{version}" for pk, version in last.items()} <= set(keys)
    assert polled() == []
    older, *_, newer = last
    for pk in (older, newer):
        crm.patch(f"/api/v1/leads/{pk}/", json={"job_title": "Analyst"})
    assert polled() == [f"{newer}:{last[newer] + 1}", f"{older}:{last[older] + 1}"]


@needs_curl
@pytest.mark.parametrize(
    "prepare",
    [prepare_python, pytest.param(prepare_typescript, marks=needs_node)],
    ids=["python", "typescript"],
)
def test_a_receiver_takes_what_is_signed_and_takes_it_once(address, crm, tmp_path, prepare):
    program = prepare(tmp_path, "webhooks")
    port = ports.any_free()
    receiver = f"http://127.0.0.1:{port}/crm"
    bearer = key(crm, "webhooks:write", "leads:read")
    environ = {"CRM_URL": address, "CRM_API_KEY": bearer, "RECEIVER": receiver}
    secret = run([*BASH, printed("webhooks", "bash")], tmp_path, **environ).strip()
    with started(program, tmp_path, PORT=str(port), CRM_WEBHOOK_SECRET=secret) as log:
        lead = crm.post("/api/v1/leads/", json={"first_name": "Ada"}).json()["id"]
        until(lambda: f"lead.created {lead} new" in log.read_text(), log.read_text)
        delivered = {"event": "lead.created", "object_id": lead, "status": "delivered"}
        [delivery] = until(lambda: crm.get("/api/v1/webhook_deliveries/", params=delivered).json()["results"])
        assert crm.post(f"/api/v1/webhook_deliveries/{delivery['id']}/redeliver/").status_code == 202
        until(lambda: f"lead.created {lead} again" in log.read_text(), log.read_text)
        body = json.dumps({"type": "lead.created", "data": {"id": 0}})
        now = datetime.now(UTC)
        late = signed(secret, body, now - timedelta(minutes=6))
        forged = signed(f"whsec_{'QUJD' * 8}", body, now)
        altered = signed(secret, body + " ", now)
        headers = (late, forged, altered, {}, {**forged, "webhook-signature": "v1"})
        assert [httpx.post(receiver, content=body, headers=one).status_code for one in headers] == [401] * 5
        assert status_of_a_huge_body(port) == 413
        assert httpx.post(receiver, content=body, headers=signed(secret, body, now)).status_code == 204
        assert log.read_text().count("lead.created 0") == 1
    [hook] = [one for one in crm.get("/api/v1/webhooks/").json()["results"] if one["url"] == receiver]
    assert crm.delete(f"/api/v1/webhooks/{hook['id']}/").status_code == 204


def signed(secret, body, at):
    """The headers of a message of this moment."""
    message_id = f"msg-{uuid4()}"
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body),
    }


def status_of_a_huge_body(port):
    """What is answered to 100 MB before any of it is sent."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "100000000")
    connection.endheaders()
    return connection.getresponse().status


SCRIPT, TEMPLATE, FORMULA = "<script>alert(1)</script>", "{{ payload.email }}", '=cmd|" /C calc"!A0'


@needs_curl
def test_a_website_form_ends_as_one_lead_whatever_is_typed_into_it(address, crm, tmp_path):
    program = prepare_python(tmp_path, "website-form")
    (tmp_path / "workflow.json").write_text(printed("website-form", "json"))
    bearer = key(crm, "workflows:write", "leads:write")
    run([*BASH, printed("website-form", "bash")], tmp_path, CRM_URL=address, CRM_API_KEY=bearer)
    workflow = json.loads((tmp_path / "made.json").read_text())
    port, mark = ports.any_free(), uuid4().hex
    site = f"http://127.0.0.1:{port}/"
    with started([*BASH, f". ./form.env; exec {' '.join(program)}"], tmp_path, PORT=str(port)):
        page = httpx.get(site).text
        assert workflow["hook_secret"] not in page
        [submission] = re.findall(r'name="submission" value="([0-9a-f-]{36})"', page)
        typed = {"first_name": SCRIPT, "last_name": TEMPLATE, "company_name": FORMULA, "message": "a\nb"}
        form = {**typed, "email": f"ada@{mark}.example", "submission": submission}

        def post(**changed):
            return httpx.post(site, data=form | changed, timeout=30).status_code

        assert [post(), post()] == [200, 200]
        assert post(submission=str(uuid4()), homepage="https://spam.example") == 200
        wrong = {"email": "no address", "first_name": "x" * 101, "last_name": "a\0b", "submission": "1"}
        assert [post(**{name: value}) for name, value in wrong.items()] == [400] * 4
        assert httpx.post(site, data={"submission": submission}).status_code == 400
        assert status_of_a_huge_body(port) == 413
    runs = f"/api/v1/workflows/{workflow['id']}/executions/"
    until(lambda: crm.get(runs).json()["results"][0]["status"] == "completed", lambda: crm.get(runs).text)
    assert crm.get(runs).json()["count"] == 1
    [lead] = crm.get("/api/v1/leads/", params={"search": mark}).json()["results"]
    names = ("first_name", "last_name", "company_name", "notes", "email", "lead_source")
    assert [lead[name] for name in names] == [*typed.values(), form["email"], "website"]
    exported = crm.get("/api/v1/export/leads/", params={"search": mark, "fields": "company_name"}).text
    assert f"'{FORMULA.replace(chr(34), chr(34) * 2)}" in exported
