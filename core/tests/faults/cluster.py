"""A whole CRM whose every part may be killed: servers of its own, and the processes of `make run`.

PostgreSQL is killed here, and other tests need theirs; so nothing is shared with the rest of the suite.
"""

import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress

import psutil
import psycopg
import redis
from aiosmtpd.controller import Controller

from backend.development.embedded import ports
from backend.development.stack import WebAddress, commands
from backend.env import BASE_DIR
from backend.testing.servers import run_folder, running_postgres, running_valkey
from core.tests.receiver import receiver

SMTP = "django.core.mail.backends.smtp.EmailBackend"
USER = """
from core.models import User, Workflow
from core.accounts import keys
user = User.objects.create_user("chaos", "chaos@crm.example", "correct horse battery", role="admin")
print("KEY", keys.make(user, "chaos", ["read", "write"])[1])
"""


class Mailbox:
    """Counts what a real SMTP server on loopback was given, by Message-ID."""

    def __init__(self):
        self.received = Counter()
        self.recipients = Counter()

    async def handle_DATA(self, server, session, envelope):
        lines = envelope.content.decode().splitlines()
        self.received[next(x.split(": ")[1] for x in lines if x.lower().startswith("message-id"))] += 1
        self.recipients[envelope.rcpt_tos[0]] += 1
        return "250 OK"


class Cluster:
    """Servers, and processes by name: web, worker, beat as in `make run`, automation as without a broker."""

    def __init__(self, folder, postgres, valkey, mail_port, peer):
        self.folder, self.postgres, self.valkey, self.peer = folder, postgres, valkey, peer
        self.web = WebAddress("127.0.0.1", ports.any_free())
        automation = [sys.executable, "manage.py", "run_automation", "--pause", "0.1"]
        self.commands = commands(self.web) | {"automation": automation}
        self.processes = {}
        self.kills = Counter()
        self.key = ""
        self.environ = {
            **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            "CRM_ENV": "development",
            "CRM_EMBEDDED": "0",
            "CRM_DATA_DIR": str(folder / "data"),
            "DATABASE_URL": postgres.url,
            "DATABASE_MIGRATION_URL": postgres.owner_url,
            "REDIS_URL": valkey.url if valkey else f"redis://127.0.0.1:{ports.any_free()}/0",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "RATE_LIMIT_ENABLED": "0",
            "DEBUG": "0",
            "PYTHONUNBUFFERED": "1",
            "EMAIL_BACKEND": SMTP,
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(mail_port),
            "OUTBOUND_ALLOWED_HOSTS": peer.host,
        }

    # -- processes

    def start(self, *names):
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    self.commands[name],
                    cwd=BASE_DIR,
                    env=self.environ,
                    stdout=log,
                    stderr=log,
                    process_group=0,
                )

    def ensure(self, *names):
        """Start those that do not run."""
        self.start(*(n for n in names if n not in self.processes or self.processes[n].poll() is not None))

    def kill(self, name, whole=True):
        """SIGKILL to a process and what it started, or to it alone; nobody takes its place yet."""
        process = self.processes[name]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL) if whole else process.kill()
        process.wait()
        self.kills[name] += 1

    def kill_child(self, name):
        """SIGKILL to one of the processes that do a worker's work, as when memory runs out."""
        own = self.processes[name].pid
        for pid in [pid for pid in self.at_work(name) if pid != own][:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.kills[f"{name}'s child"] += 1

    def signal(self, name, number):
        """A signal to a process and what it started."""
        os.killpg(self.processes[name].pid, number)

    def end(self, name, seconds=60):
        """SIGTERM, and the exit code; None for what does not run."""
        if name not in self.processes:
            return None
        self.processes[name].terminate()
        return self.processes[name].wait(seconds)

    def kill_postgres(self):
        """The postmaster and all its processes, at once; then it is started and recovers from its log."""
        postmaster = psutil.Process(self.postgres.pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, 20)
        self.kills["postgres"] += 1
        self.postgres.start(end_signal=signal.SIGQUIT)

    def flush_valkey(self):
        """Whatever was rung for and not yet heard is gone."""
        with redis.Redis.from_url(self.valkey.url) as connection:
            connection.flushall()
        self.kills["flushes"] += 1

    def stop(self):
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def at_work(self, name):
        """Which of the process and those that it started hold the lease of a run."""
        sql = "SELECT worker FROM core_workflowexecution WHERE status = 'running' AND due_at > now()"
        leases = {int(worker.split("/")[1]) for (worker,) in self.rows(sql)}
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.processes[name].pid)
            return leases & {process.pid, *(child.pid for child in process.children())}
        return set()

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3_000:]

    # -- what is in it

    def shell(self, code, **environ):
        """What a piece of code prints, run in `manage.py shell`."""
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
        done = subprocess.run(
            command, cwd=BASE_DIR, env=self.environ | environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make_user(self):
        """An administrator with an API key for `call`; workflows made after it act as them."""
        self.key = self.shell(USER).split("KEY ")[1].strip()

    def add_workflow(self, name, actions, model="lead", trigger="record_created", **settings):
        body = {
            "name": name,
            "trigger_type": trigger,
            "trigger_conditions": {"model": model, **settings},
            "actions": [{"type": kind, "params": params} for kind, params in actions],
            "status": "active",
        }
        status, answer = self.call("POST", "/api/v1/workflows/", body)
        assert status == 201, answer
        return answer["id"]

    def rows(self, sql, url=None):
        with psycopg.connect(url or self.postgres.superuser_url, autocommit=True) as connection:
            done = connection.execute(sql)
            return done.fetchall() if done.description else []

    def call(self, method, path, body=None, **headers):
        """(status, JSON) of a request to the web process. Raises OSError while it is away."""
        given = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.web.url}{path}", data, given, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 (our own process)
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def await_web(self, seconds=60):
        await_true(self.answers, seconds, "the web process answers")

    def answers(self):
        with suppress(OSError):
            return self.call("GET", "/livez")[0] == 200
        return False

    def ended(self, count):
        """Whether so many runs there are, and all have ended well."""
        states = dict(self.rows("SELECT status, count(*) FROM core_workflowexecution GROUP BY 1"))
        return states == {"completed": count}

    def states(self):
        return self.rows(
            "SELECT w.name, e.status, e.error, e.due_at - now(), count(*) FROM core_workflowexecution e"
            " JOIN core_workflow w ON w.id = e.workflow_id GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC LIMIT 20"
        )


def await_true(question, seconds, what, pause=0.1):
    """Ask again and again, through a database that is away, until it is so; how long it took."""
    started = time.monotonic()
    while True:
        with suppress(psycopg.OperationalError):
            if question():
                return time.monotonic() - started
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        time.sleep(pause)


@contextmanager
def cluster(broker=True):
    """A cluster with an empty, migrated database; without `broker` nothing answers where Valkey should."""
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # a line for each command of SMTP
    mailbox = Mailbox()
    mail = Controller(mailbox, hostname="127.0.0.1", port=ports.any_free())
    with ExitStack() as running:
        folder = running.enter_context(run_folder())
        database = running.enter_context(running_postgres(folder, "faults", durable=True))
        valkey = running.enter_context(running_valkey(folder)) if broker else None
        mail.start()
        running.callback(mail.stop)
        peer = running.enter_context(receiver())
        made = Cluster(folder, database, valkey, mail.port, peer)
        made.mailbox = mailbox
        running.callback(made.stop)
        yield made
