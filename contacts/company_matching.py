"""Finding the companies of people by the domain of their e-mail address: in the background, some hundred
people at a time, of those only who changed or whose domain a company took or gave up.

A consumer of changes notes whom to look at (`CompanyCheck`). A task looks which companies have their domain,
stores these as suggestions or, where the setting says so and only one has it, links the person to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import F, Q

from contacts.mail_domains import business_domain, spellings
from contacts.models import Company, CompanyCheck
from core.access import TEAM_REACH
from core.changes import ChangeBatch, audit_context, consumers
from core.changes.expressions import EqualsAny
from core.conf import conf
from core.entities import Entity, entities
from core.entities.locks import MATCHING_COMPANIES, try_lock
from core.jobs import Turn
from core.registry import Registry

# The people of one transaction, and how many companies are suggested for one of them.
CHUNK, SUGGESTED = 1_000, 20
# Seconds that one statement about them may take.
STATEMENT_S = 20

# Entities with the columns `email`, `company` and `company_name`, by name → which records are looked at.
matched_by_domain: Registry[Q] = Registry("entity whose company is found by domain")

_NOTE = """
INSERT INTO contacts_companycheck (entity, record_id)
SELECT DISTINCT entity, object_id FROM core_change
WHERE id = ANY(%s) AND (kind <> 'updated' OR changes ?| ARRAY['email', 'company_id'])
"""
_NOTE_DOMAINS = """
INSERT INTO contacts_companycheck (entity, company_id)
SELECT DISTINCT name, object_id FROM core_change CROSS JOIN unnest(%s::text[]) AS name
WHERE id = ANY(%s) AND (kind <> 'updated' OR changes ? 'domain')
"""
# Whoever takes a company away from a person says that it is not theirs.
_NOTE_REMOVED = """
INSERT INTO contacts_companysuggestion (entity, object_id, company_id, dismissed_at, dismissed_by_id)
SELECT DISTINCT ON (c.object_id, o.id) c.entity, c.object_id, o.id, c.at, u.id
FROM core_change c JOIN contacts_company o ON o.id = (c.changes->'company_id'->>0)::bigint
LEFT JOIN core_user u ON u.id = c.actor_id
WHERE c.id = ANY(%s) AND c.kind = 'updated' AND c.changes->'company_id'->1 = 'null'
ON CONFLICT (entity, object_id, company_id)
DO UPDATE SET dismissed_at = excluded.dismissed_at, dismissed_by_id = excluded.dismissed_by_id
"""
# Those with one of the domains, and those for whom the company was suggested when it had another.
_OF_DOMAIN = """
INSERT INTO contacts_companycheck (entity, record_id)
SELECT %(entity)s, id FROM (
    (SELECT id FROM {table} WHERE lower(split_part(email, '@', 2)) = ANY(%(domains)s) AND email <> ''
     AND company_id IS NULL AND archived_at IS NULL AND id > %(after)s ORDER BY id LIMIT %(limit)s)
    UNION
    (SELECT object_id FROM contacts_companysuggestion WHERE entity = %(entity)s
     AND company_id = %(company)s AND dismissed_at IS NULL AND object_id > %(after)s
     ORDER BY object_id LIMIT %(limit)s)
) AS person ORDER BY id LIMIT %(limit)s RETURNING record_id
"""
_OF_ALL = """
INSERT INTO contacts_companycheck (entity, record_id)
SELECT %(entity)s, id FROM {table} WHERE id > %(after)s AND archived_at IS NULL
ORDER BY id LIMIT %(limit)s RETURNING record_id
"""
_CLAIM = """
DELETE FROM contacts_companycheck WHERE id IN (
    SELECT id FROM contacts_companycheck WHERE entity = %s AND record_id <> 0 ORDER BY id LIMIT %s
) RETURNING record_id
"""
_COMPANIES = """
SELECT d.domain, c.id FROM unnest(%s::text[]) AS d (domain) CROSS JOIN LATERAL (
    SELECT id FROM contacts_company WHERE domain = d.domain AND domain <> '' AND archived_at IS NULL
    ORDER BY id LIMIT %s
) AS c
"""
_FORGET = """
DELETE FROM contacts_companysuggestion s WHERE entity = %(entity)s AND object_id = ANY(%(ids)s)
AND dismissed_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM unnest(%(people)s::bigint[], %(companies)s::bigint[]) AS f (person, company)
    WHERE f.person = s.object_id AND f.company = s.company_id)
"""
_SUGGEST = """
INSERT INTO contacts_companysuggestion (entity, object_id, company_id)
SELECT %(entity)s, person, company
FROM unnest(%(people)s::bigint[], %(companies)s::bigint[]) AS f (person, company)
JOIN {table} r ON r.id = f.person AND r.company_id IS NULL
JOIN contacts_company c ON c.id = f.company ON CONFLICT DO NOTHING
"""
# Nobody is linked to a company that their owner does not see, nor to one that somebody said is not theirs.
_LINK = """
{reach}, person AS MATERIALIZED (
    SELECT id FROM {table} WHERE id = ANY(%(people)s) AND company_id IS NULL AND archived_at IS NULL
    ORDER BY id FOR UPDATE
)
UPDATE {table} r SET company_id = c.id,
    company_name = CASE WHEN r.company_name = '' THEN c.name ELSE r.company_name END
FROM person p
JOIN unnest(%(people)s::bigint[], %(companies)s::bigint[]) AS f (person, company) ON f.person = p.id
JOIN contacts_company c ON c.id = f.company AND c.archived_at IS NULL, core_user u
WHERE r.id = p.id AND u.id = coalesce(r.owner_id, r.assigned_to_id) AND {seen}
AND NOT EXISTS (SELECT 1 FROM contacts_companysuggestion s WHERE s.entity = %(entity)s
    AND s.object_id = r.id AND s.company_id = c.id AND s.dismissed_at IS NOT NULL)
"""


def consume(batch: ChangeBatch) -> None:
    """Note whose company may be another one, or be known, after these changes."""
    if conf.COMPANY_BY_DOMAIN == "off":
        return
    if batch.entity == "company":
        _execute(_NOTE_DOMAINS, [matched_by_domain.keys(), batch.ids])
    elif batch.entity in matched_by_domain:
        _execute(_NOTE_REMOVED, [batch.ids])
        _execute(_NOTE, [batch.ids])


consumers.register("company_matching", consume)


def match_all() -> None:
    """Have the companies of all people looked for."""
    names = matched_by_domain.keys()
    CompanyCheck.objects.bulk_create([CompanyCheck(entity=name) for name in names])


def match(turn: Turn) -> int:
    """Look for the companies of those who wait until the turn is over; how many these were."""
    names = matched_by_domain.keys()
    total, waiting = 0, True
    while waiting and not turn.is_over:
        counts = [match_once(entities[name]) for name in names]
        total, waiting = total + sum(counts), any(counts)
    return total


def match_once(entity: Entity) -> int:
    """Look for the companies of some people of an entity; how many: 0 where nobody waits, or somebody else
    is at it."""
    if conf.COMPANY_BY_DOMAIN == "off" or not CompanyCheck.objects.filter(entity=entity.name).exists():
        return 0
    with audit_context(source="system", statement_seconds=STATEMENT_S):
        if not try_lock(MATCHING_COMPANIES, entity.name):
            return 0
        noted = _note_many(entity)
        ids = sorted({pk for (pk,) in _rows(_CLAIM, [entity.name, CHUNK])})
        if ids:
            _match(entity, ids)
        return len(ids) + noted


def _note_many(entity: Entity) -> int:
    """Note the next of the people whom one row stands for, and how far it has come; how many rows there were
    to look at."""
    check = CompanyCheck.objects.filter(entity=entity.name, record_id=0).order_by("id").first()
    if check is None:
        return 0
    params = {"entity": entity.name, "after": check.after_id, "limit": CHUNK, "company": check.company_id}
    if check.company_id:
        domain = Company.objects.filter(pk=check.company_id).values_list("domain", flat=True).first()
        params["domains"] = spellings(business_domain(domain or ""))
    statement = _OF_DOMAIN if check.company_id else _OF_ALL
    found = [pk for (pk,) in _rows(statement.format(table=entity.model._meta.db_table), params)]
    if len(found) < CHUNK:
        check.delete()
    else:
        CompanyCheck.objects.filter(pk=check.pk).update(after_id=max(found))
    return 1


def _match(entity: Entity, ids: Sequence[int]) -> None:
    """Replace what is suggested for some people by what their domains say now."""
    found = _companies_of(entity, ids)
    if conf.COMPANY_BY_DOMAIN == "link":
        _link(entity, {pk: companies for pk, companies in found.items() if len(companies) == 1})
    params = {"ids": ids, **_pairs(entity, found)}
    _execute(_FORGET, params)
    if found:
        _execute(_SUGGEST.format(table=entity.model._meta.db_table), params)


def _companies_of(entity: Entity, ids: Sequence[int]) -> dict[int, list[int]]:
    """The companies with the domain of each of the people who have none."""
    people = entity.model.objects.filter(
        matched_by_domain[entity.name], EqualsAny(F("pk"), ids), company=None, archived_at=None
    )
    domains = {
        pk: spellings(business_domain(email))
        for pk, email in people.order_by("pk").values_list("pk", "email")
    }
    asked = sorted({spelling for spelled in domains.values() for spelling in spelled})
    companies: dict[str, list[int]] = {}
    for domain, company in _rows(_COMPANIES, [asked, SUGGESTED]) if asked else ():
        companies.setdefault(domain, []).append(company)
    found = {
        pk: sorted({company for spelling in spelled for company in companies.get(spelling, ())})
        for pk, spelled in domains.items()
    }
    return {pk: some[:SUGGESTED] for pk, some in found.items() if some}


def _link(entity: Entity, found: Mapping[int, Sequence[int]]) -> None:
    statement = _LINK.format(
        reach=TEAM_REACH, table=entity.model._meta.db_table, seen=Company.policy.viewers("c", "u")
    )
    _execute(statement, _pairs(entity, found))


def _pairs(entity: Entity, found: Mapping[int, Sequence[int]]) -> dict[str, Any]:
    pairs = [(person, company) for person, companies in found.items() for company in companies]
    people, companies = zip(*pairs, strict=True) if pairs else ((), ())
    return {"entity": entity.name, "people": list(people), "companies": list(companies)}


def _execute(statement: str, params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def _rows(statement: str, params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall()
