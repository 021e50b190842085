import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from backend.development.embedded import placement, ports, state
from backend.development.embedded.services import Services
from backend.env import BASE_DIR, ConfigurationError, Env
from backend.testing.stacks import bare_environ, choose_ports

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone runs servers as someone else")
LONG = Path(*["a folder with a long name, as some checkouts have"] * 5)


def services(folder, **variables):
    return Services(folder.resolve(), Env(variables))


@pytest.fixture
def folder():
    """A folder that everyone may pass through; servers started for it are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="crm-services-") as parent:
        Path(parent).chmod(0o755)
        data = Path(parent) / "data"
        yield data
        services(data).remove()


def pids(found):
    return {name: int(state.split()[1]) for name, state in found.status().items() if "process" in state}


def answers(found):
    with psycopg.connect(found.database_url()) as connection:
        user = connection.execute("SELECT current_user").fetchone()[0]
    with redis.Redis.from_url(found.redis_url()) as client:
        return user, client.ping()


def test_servers_start_once_are_reused_survive_kill_9_and_come_back_where_they_were(folder):
    choose_ports(folder)
    found = services(folder)
    said = []
    found.ensure_running(said.append)
    assert len(said) == 2
    assert answers(found) == ("crm", True)

    first = pids(found)
    services(folder).ensure_running(said.append)
    assert (len(said), pids(found)) == (2, first)

    urls = found.database_url(), found.redis_url()
    with psycopg.connect(found.owner_url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        connection.execute("GRANT SELECT ON kept TO crm")
    for pid in first.values():
        psutil.Process(pid).kill()
    psutil.wait_procs([psutil.Process(pid) for pid in first.values() if psutil.pid_exists(pid)], timeout=10)
    found.ensure_running(said.append)
    assert (found.database_url(), found.redis_url()) == urls
    with psycopg.connect(urls[0]) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)

    assert found.stop() == ["PostgreSQL", "Valkey"]
    assert found.status() == {"PostgreSQL": "not running", "Valkey": "not running"}
    assert found.stop() == []


def test_a_long_checkout_path_works_and_only_this_machine_is_listened_to(folder):
    deep = folder / LONG
    assert len(str(deep)) > 250
    found = services(deep)
    try:
        found.ensure_running()
        assert answers(found) == ("crm", True)
        for pid in pids(found).values():
            listening = [one for one in psutil.Process(pid).net_connections() if one.status == "LISTEN"]
            assert {one.laddr.ip for one in listening} == {"127.0.0.1"}
    finally:
        found.remove()


@pytest.mark.parametrize(
    ("variable", "server"), [("CRM_PG_PORT", "PostgreSQL"), ("CRM_REDIS_PORT", "Valkey")]
)
def test_a_busy_port_that_was_asked_for_is_answered_with_a_sentence_that_names_it(
    folder, variable, server, monkeypatch
):
    monkeypatch.setattr(ports, "GRACE_SECONDS", 0.2)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        address = {"DATABASE_URL": "postgresql://db/crm"} if server == "Valkey" else {}
        with pytest.raises(ConfigurationError) as problem:
            services(folder, **{variable: str(port)}, **address).ensure_running()
    assert str(problem.value) == (
        f"Port {port} on 127.0.0.1 is in use by another program, so {server} cannot start there:"
        f" stop that program, or choose another port with {variable}=<port>."
    )


def test_a_busy_port_that_nobody_asked_for_is_passed_over(folder, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        busy = other.getsockname()[1]
        monkeypatch.setattr("backend.development.embedded.services.PREFERRED_VALKEY_PORT", busy)
        found = services(folder, DATABASE_URL="postgresql://db/crm")
        found.ensure_running()
        assert f":{busy}/" not in found.redis_url()
        with redis.Redis.from_url(found.redis_url()) as client:
            assert client.ping()


def seen_free_once(monkeypatch, busy):
    """Make the first look at a port miss who has it, as when another stack takes it just after the look."""
    looks, really_free = [], ports.is_free

    def is_free(port, host=ports.LOOPBACK):
        if port == busy and not looks:
            looks.append(port)
            return True
        return really_free(port, host)

    monkeypatch.setattr(ports, "is_free", is_free)
    return looks


@pytest.mark.parametrize("name", ["POSTGRES", "VALKEY"])
def test_a_port_that_another_program_takes_just_before_the_start_is_passed_over(folder, name, monkeypatch):
    given = {"POSTGRES": {"REDIS_URL": "redis://cache"}, "VALKEY": {"DATABASE_URL": "postgresql://db/crm"}}
    with socket.create_server(("127.0.0.1", 0)) as other:
        busy = other.getsockname()[1]
        monkeypatch.setattr(f"backend.development.embedded.services.PREFERRED_{name}_PORT", busy)
        looks = seen_free_once(monkeypatch, busy)
        found = services(folder, **given[name])
        reported = []
        found.ensure_running(reported.append)
        try:
            assert looks == [busy]
            assert len(reported) == 2
            assert reported[0].endswith(f":{busy}")
            assert not reported[1].endswith(f":{busy}")
            assert list(found.status().values()).count("not running") == 1
        finally:
            found.remove()


def test_servers_that_the_environment_names_are_never_started(folder):
    found = services(folder, DATABASE_URL="postgresql://db/crm", REDIS_URL="redis://cache")
    found.ensure_running()
    assert not folder.exists()


def test_a_lock_that_is_not_released_is_answered_with_the_process_that_holds_it(folder, monkeypatch):
    monkeypatch.setattr(state, "LOCK_SECONDS", 0.2)
    with state.lock(folder), pytest.raises(ConfigurationError) as problem, state.lock(folder):
        pass
    assert str(problem.value).startswith(
        f"Process {os.getpid()} has been starting or stopping the servers of"
    )


@pytest.mark.timeout(60)
def test_beat_that_is_reported_to_end_while_it_waits_for_the_servers_ends(folder):
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "backend", "beat", "--loglevel=info"]
    state.load(folder)  # made here, for settings read it and must not wait
    with state.lock(folder), (folder / "beat.log").open("w+") as log:
        beat = subprocess.Popen(command, cwd=BASE_DIR, env=bare_environ(folder), stdout=log, stderr=log)
        try:
            while "beat: Starting..." not in (folder / "beat.log").read_text():
                assert beat.poll() is None
                time.sleep(0.05)
            time.sleep(0.3)
            beat.terminate()
            beat.wait(30)
        finally:
            beat.kill()


@as_root
def test_under_root_the_servers_run_unprivileged_and_no_parent_folder_is_opened(folder):
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    before = modes_above(closed / "checkout")
    found = services(closed / "checkout" / ".data")
    found.ensure_running()
    try:
        assert answers(found) == ("crm", True)
        assert {psutil.Process(pid).username() for pid in pids(found).values()} == {"nobody"}
        assert modes_above(closed / "checkout") == before
        outside = placement.outside_folder(found.folder)
        assert (found.folder / "postgres").readlink() == outside / "postgres"
        assert stat.S_IMODE((outside / "postgres").stat().st_mode) == 0o700
        assert stat.S_IMODE((found.folder / "services.json").stat().st_mode) == 0o600
    finally:
        found.remove()
    assert not outside.exists()


@as_root
@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        ("root", "CRM_SERVICE_USER must not be root: PostgreSQL refuses to run as root."),
        ("no-such-user", "CRM_SERVICE_USER names the user 'no-such-user', which does not exist."),
    ],
)
def test_a_service_user_that_cannot_be_is_refused(folder, user, sentence):
    with pytest.raises(ConfigurationError) as problem:
        services(folder, CRM_SERVICE_USER=user).ensure_running()
    assert str(problem.value) == sentence


def modes_above(path):
    return {str(parent): parent.stat().st_mode for parent in path.parents}
