"""Fills a database for `benchmarks.performance`: leads, and so many companies, contacts, deals and tasks
beside them as a team of fifty has.

Written by SQL through the triggers that every writer passes: the change table, the search columns and the
kept counts are filled as by the API.
"""

from typing import Any

import psycopg

from benchmarks.listing import PASSWORD, manage

USERS, TEAMS, CHUNK = 50, 8, 50_000
# Companies, contacts, deals and tasks for each lead.
SHARES = {"companies": 0.05, "contacts": 0.1, "deals": 0.05, "tasks": 0.1}
# One lead in so many has what is called rare here.
RARE = 4_999
PEOPLE = f"""
from django.contrib.auth.hashers import make_password
from core.models import User
from core.accounts.models import Team
password, top = make_password('{PASSWORD}'), Team.objects.create(name='Sales')
teams = [Team.objects.create(name=f'Team {{n}}', parent=top) for n in range({TEAMS})]
def user(name, role, team):
    address = f'{{name}}@crm.example'
    return User(username=name, email=address, password=password, role=role, team=team, is_staff=True)
people = [user(f'rep{{n}}', 'rep', teams[n * {TEAMS} // {USERS}]) for n in range({USERS} - 1)]
# Ten of fifty are in reach of the manager: what nine reps and the manager own.
for one in people[:9]:
    one.team = teams[0]
for one in people[9:]:
    one.team = one.team if one.team != teams[0] else teams[1]
User.objects.bulk_create([*people, user('manager', 'manager', teams[0]), user('viewer', 'viewer', teams[0])])
"""
# %(users)s: the ids of reps and manager; %(first)s and %(last)s: the numbers of the rows.
COMPANIES = """
INSERT INTO contacts_company (name, domain, industry, city, owner_id, created_at)
SELECT 'Company ' || n || CASE WHEN n %% 9973 = 0 THEN ' Zyxomma' ELSE '' END, 'company' || n || '.example',
    (ARRAY['Software', 'Retail', 'Energy'])[1 + n %% 3], 'Town ' || n %% 500, (%(users)s)[1 + n %% 50],
    now() - n %% 700 * interval '1 day'
FROM generate_series(%(first)s::int, %(last)s::int) n
"""
CONTACTS = """
INSERT INTO contacts_contact (first_name, last_name, email, owner_id, created_at)
SELECT 'Contact', 'Name ' || n, 'contact' || n || '@mail.example', (%(users)s)[1 + n %% 50],
    now() - n %% 700 * interval '1 day'
FROM generate_series(%(first)s::int, %(last)s::int) n
"""
LEADS = f"""
INSERT INTO lead_management_lead (first_name, last_name, email, phone, company_name, job_title, city, country,
    lead_source, status, priority, estimated_value, lead_score, tags, custom_fields, owner_id, assigned_to_id,
    created_at, updated_at)
SELECT (ARRAY['Ada', 'Bob', 'Chiara', 'Dmitri', 'Elif', 'Fatou', 'Grace', 'Hiro'])[1 + n %% 8],
    (ARRAY['Byron', 'Stone', 'Rossi', 'Diop', 'Hopper'])[1 + n %% 5] || '-' || n %% 9973,
    'lead' || n || '@mail' || n %% 5000 || '.example', '+1415' || lpad(n::text, 7, '0'),
    CASE WHEN n %% {RARE} = 0 THEN 'Zyxomma Works' ELSE 'Common ' || n %% 20000 END,
    (ARRAY['CEO', 'Buyer', 'Engineer'])[1 + n %% 3], 'Town ' || n %% 500,
    (ARRAY['US', 'IT', 'DE'])[1 + n %% 3],
    (ARRAY['website', 'referral', 'event', 'partner'])[1 + n %% 4],
    (ARRAY['new', 'contacted', 'nurturing', 'qualified', 'lost'])[1 + n %% 5],
    (ARRAY['low', 'medium', 'high'])[1 + n %% 3],
    CASE WHEN n %% {RARE} = 0 THEN 9000000 ELSE n::bigint * 7919 %% 90000 END, n * 31 %% 101,
    CASE WHEN n %% 10 = 0 THEN ARRAY['vip'] WHEN n %% 7 = 0 THEN ARRAY['fair', 'spring'] ELSE '{{}}' END,
    jsonb_build_object('tier', (ARRAY['gold', 'silver', 'bronze'])[1 + n %% 3], 'contract', 'K' || n),
    (%(users)s)[1 + n %% 50], CASE WHEN n %% 3 = 0 THEN (%(users)s)[1 + n %% 50] END,
    now() - n * (700.0 / %(count)s) * interval '1 day', now() - n %% 100 * interval '1 hour'
FROM generate_series(%(first)s::int, %(last)s::int) n
"""  # noqa: S608 (constants)
DEALS = """
INSERT INTO opportunities_opportunity (name, pipeline_id, stage, amount, currency, expected_close_date,
    owner_id, created_at)
SELECT 'Deal ' || n, p.id, (ARRAY['prospecting', 'qualification', 'proposal', 'negotiation'])[1 + n %% 4],
    n %% 9000, (ARRAY['USD', 'EUR'])[1 + n %% 2], current_date + n %% 200, (%(users)s)[1 + n %% 50],
    now() - n %% 400 * interval '1 day'
FROM generate_series(%(first)s::int, %(last)s::int) n, opportunities_pipeline p WHERE p.is_default
"""
TASKS = """
INSERT INTO tasks_task (title, task_type, status, priority, due_date, owner_id, assigned_to_id, created_at)
SELECT 'Task ' || n, (ARRAY['call', 'email', 'meeting'])[1 + n %% 3],
    (ARRAY['pending', 'in_progress', 'completed'])[1 + n %% 3], (ARRAY['low', 'medium', 'high'])[1 + n %% 3],
    now() + (n %% 400 - 200) * interval '1 day', (%(users)s)[1 + n %% 50], (%(users)s)[1 + n %% 50],
    now() - n %% 400 * interval '1 day'
FROM generate_series(%(first)s::int, %(last)s::int) n
"""
FIELDS = """
from core.entities.models import CustomField
for key in ('tier', 'contract'):
    CustomField.objects.create(entity='lead', key=key, label=key, type='text')
"""
FOLD = """
from django.db import transaction
from core.entities.record_counts import fold
while True:
    with transaction.atomic():
        if not fold():
            break
"""


def fill(environ: dict[str, str], database: str, leads: int) -> None:
    """A migrated database's people and records."""
    manage(environ, "shell", "-v0", "-c", PEOPLE)
    manage(environ, "shell", "-v0", "-c", FIELDS)
    with psycopg.connect(database, autocommit=True) as connection:
        found = connection.execute("SELECT id FROM core_user WHERE role IN ('rep', 'manager') ORDER BY id")
        users = [pk for (pk,) in found]
        indexes = _taken_away(connection)
        written = {"companies": COMPANIES, "contacts": CONTACTS, "deals": DEALS, "tasks": TASKS}
        for name, statement in written.items():
            _insert(connection, statement, users, round(leads * SHARES[name]))
        _insert(connection, LEADS, users, leads)
        connection.execute("SET maintenance_work_mem = '1GB'")
        for index in indexes:
            connection.execute(index)
        # What the dispatcher would have gone through by now.
        connection.execute("DELETE FROM core_outbox")
    manage(environ, "shell", "-v0", "-c", FOLD)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _taken_away(connection: psycopg.Connection[Any]) -> list[str]:
    """Remove the indexes that are made in a tenth of the time when the rows are there; the SQL of each."""
    found = connection.execute(
        "SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = c.relam"
        " WHERE a.amname = 'gin' AND c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace"
    ).fetchall()
    for name, _ in found:
        connection.execute(f'DROP INDEX "{name}"')
    return [statement for _, statement in found]


def _insert(connection: psycopg.Connection[Any], statement: str, users: list[int], count: int) -> None:
    for first in range(1, count + 1, CHUNK):
        given = {"users": users, "first": first, "last": min(first + CHUNK - 1, count), "count": count}
        connection.execute(statement, given)
