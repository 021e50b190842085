"""What `benchmarks.performance` asks: each request, the SQL that it costs at least, and its goal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

PAGE = 50
LEADS = "/api/v1/leads/"


@dataclass(frozen=True)
class Goal:
    """What a request may take: so many times its floor, so many times what it takes at the smallest size, so
    many milliseconds of the median answer or of CPU, so many times what another request takes."""

    floor: float | None = None
    growth: float | None = None
    p50_ms: float | None = None
    cpu_ms: float | None = None
    times: tuple[float, str] | None = None


@dataclass(frozen=True)
class Asked:
    """A request. `floor`: statements, in which {lead} stands for the columns of a lead; none where only time
    is asked about. `body` makes the body of the nth request."""

    name: str
    who: str
    path: str
    floor: tuple[str, ...] = ()
    goal: Goal = field(default_factory=Goal)
    method: str = "GET"
    body: Callable[[int], Any] | None = None


@dataclass(frozen=True)
class Facts:
    """What is in the database: ids and addresses to ask for."""

    lead: int
    reached: list[int]  # the users in reach of the manager
    rep: int
    count: int
    cursor: str  # of a page behind nine tenths of all leads
    last_page: int
    some: list[int]  # a thousand leads
    day: str  # from which on one hundredth was created
    next_day: str
    since: str  # the time of a late change


def _rows(where: str = "", order: str = "id DESC", *, limit: int = PAGE + 1) -> str:
    condition = f"archived_at IS NULL{' AND ' if where else ''}{where}"
    return (
        f"SELECT {{lead}} FROM lead_management_lead WHERE {condition}"  # noqa: S608
        f" ORDER BY {order} LIMIT {limit}"
    )


def _counted(where: str) -> str:
    """The count rule of the product: exact up to ten thousand."""
    return (
        "SELECT count(*) FROM (SELECT FROM lead_management_lead"  # noqa: S608
        f" WHERE archived_at IS NULL AND {where} LIMIT 10001) AS counted"
    )


def _kept(where: str = "true", *, field: str = "", entity: str = "lead") -> str:
    return (
        "SELECT field, value, sum(amount) FROM core_recordcount"  # noqa: S608
        f" WHERE entity = '{entity}' AND field = '{field}' AND {where} GROUP BY field, value"
    )


def _people(users: list[int]) -> str:
    some = f"ARRAY{users}::bigint[]"
    return f"(owner_id = ANY ({some}) OR assigned_to_id = ANY ({some}))"


def _narrowed(where: str, order: str = "id DESC") -> tuple[str, str]:
    return _rows(where, order), _counted(where)


def requests_of(facts: Facts) -> Iterator[Asked]:
    yield from _lists(facts)
    yield from _records(facts)
    yield from _filters(facts)
    yield from _orderings()
    yield from _searches(facts)
    yield from _figures()
    yield from _feeds(facts)
    yield from _admin(facts)


def _lists(facts: Facts) -> Iterator[Asked]:
    mine, team = _people([facts.rep]), _people(facts.reached)
    first, flat = "list, administrator", 1.2
    yield Asked(first, "admin", LEADS, (_rows(), _kept()), Goal(floor=1.5, growth=flat))
    of_rep = (_rows(mine), _kept(mine))
    yield Asked("list, rep of 2 %", "rep0", LEADS, of_rep, Goal(growth=flat, times=(1.5, first)))
    yield Asked("list, API key of the rep", "key", LEADS, (), Goal(growth=flat, times=(1.5, first)))
    of_team = (_rows(team), _kept(team))
    yield Asked("list, manager of 20 %", "manager", LEADS, of_team, Goal(growth=flat, times=(2, first)))
    yield Asked("list, viewer of 20 %", "viewer", LEADS, of_team, Goal(growth=flat, times=(2, first)))
    yield Asked(
        "cursor at nine tenths",
        "admin",
        facts.cursor,
        (_rows(f"id < {facts.count // 10}"),),
        Goal(floor=1.5, growth=flat),
    )
    yield Asked(
        "last page by number",
        "admin",
        f"{LEADS}?page={facts.last_page}",
        (_rows("true", "id", limit=PAGE),),
        Goal(floor=10),
    )


def _records(facts: Facts) -> Iterator[Asked]:
    one = f"{LEADS}{facts.lead}/"
    read = (f"SELECT {{lead}} FROM lead_management_lead WHERE id = {facts.lead}",)  # noqa: S608
    yield Asked("get one", "admin", one, read, Goal(floor=2, growth=1.2))
    insert = (
        "INSERT INTO lead_management_lead (first_name, last_name, email) VALUES"
        " ('Ada', 'Byron', gen_random_uuid() || '@floor.example') RETURNING {lead}"
    )
    yield Asked(
        "create",
        "admin",
        LEADS,
        (insert,),
        Goal(floor=3, growth=1.2),
        "POST",
        lambda n: {"first_name": "Ada", "last_name": "Byron", "email": f"bench{n}@performance.example"},
    )
    update = (
        "UPDATE lead_management_lead SET job_title = gen_random_uuid(), version = version + 1"  # noqa: S608
        f" WHERE id = {facts.lead} RETURNING {{lead}}"
    )
    yield Asked(
        "change one field",
        "admin",
        one,
        (update,),
        Goal(floor=3, growth=1.2),
        "PATCH",
        lambda n: {"job_title": f"Engineer {n}"},
    )
    some = f"ARRAY{facts.some}::bigint[]"
    bulk = (
        "UPDATE lead_management_lead SET job_title = gen_random_uuid(), version = version + 1"  # noqa: S608
        f" WHERE id = ANY ({some}) RETURNING id"
    )
    yield Asked(
        "bulk_update of 1,000",
        "admin",
        f"{LEADS}bulk_update/",
        (bulk,),
        Goal(floor=3, growth=1.2),
        "POST",
        lambda n: {"ids": facts.some, "action": "update", "data": {"job_title": f"Engineer {n}"}},
    )


def _filters(facts: Facts) -> Iterator[Asked]:
    between = f"created_at >= '{facts.day}' AND created_at < '{facts.next_day}'"
    yield Asked(
        "created_at, one hundredth",
        "admin",
        f"{LEADS}?created_at__gte={facts.day}&created_at__lt={facts.next_day}",
        _narrowed(between),
        Goal(growth=1.5),
    )
    both = f"status = 'new' AND owner_id = {facts.rep}"
    yield Asked(
        "status and owner, by score",
        "admin",
        f"{LEADS}?status=new&owner={facts.rep}&ordering=-lead_score",
        _narrowed(both, "lead_score DESC, id DESC"),
        Goal(growth=1.5),
    )
    yield Asked(
        "custom field =",
        "admin",
        f"{LEADS}?custom_fields.contract=K777",
        _narrowed("""custom_fields @> '{"contract": "K777"}'"""),
        Goal(floor=2),
    )
    rare = "search_text LIKE '%ZYXOMMA%' AND upper(company_name) LIKE '%ZYXOMMA%'"
    contains = f"{LEADS}?company_name__contains=zyxomma"
    yield Asked("company contains, rare", "admin", contains, _narrowed(rare), Goal(floor=4))
    town = "search_text LIKE '%NOWHERE%' AND city = 'Nowhere'"
    yield Asked("city =, no match", "admin", f"{LEADS}?city=Nowhere", _narrowed(town), Goal(floor=4))
    value = "estimated_value > 8000000"
    above = f"{LEADS}?estimated_value__gt=8000000"
    yield Asked("value >, rare", "admin", above, _narrowed(value), Goal(floor=4))


def _orderings() -> Iterator[Asked]:
    """Beside the default order, none of them may be far."""
    goal = Goal(times=(1.5, "list, administrator"))
    for name in ("-estimated_value", "last_name", "-updated_at", "custom_fields.tier"):
        label = name.removeprefix("-").removeprefix("custom_fields.")
        yield Asked(f"ordered by {label}", "admin", f"{LEADS}?ordering={name}", (), goal)


def _searches(facts: Facts) -> Iterator[Asked]:
    mine = _people([facts.rep])
    words = "search_text LIKE '%COMMON%'"
    goal = Goal(floor=4, growth=2)
    yield Asked("search of two letters", "admin", f"{LEADS}?search=co", (), Goal(growth=2))
    common = f"{LEADS}?search=common"
    yield Asked("search, common word, rep", "rep0", common, _narrowed(f"{words} AND {mine}"), goal)
    address = "search_text LIKE '%LEAD777@MAIL777.EXAMPLE%'"
    yield Asked(
        "search, address", "admin", f"{LEADS}?search=lead777@mail777.example", _narrowed(address), goal
    )
    yield Asked("search of everything", "admin", "/api/v1/search/?q=zyxomma", (), Goal(growth=3))


def _figures() -> Iterator[Asked]:
    """Numbers that are shown on each start page."""
    goal = Goal(p50_ms=50)
    counted = _kept(field="status")
    yield Asked("leads/statistics, administrator", "admin", f"{LEADS}statistics/", (counted,), goal)
    yield Asked("leads/statistics, rep", "rep0", f"{LEADS}statistics/", (), goal)
    yield Asked("leads/statistics, manager", "manager", f"{LEADS}statistics/", (), goal)
    yield Asked("tags", "admin", "/api/v1/tags/", (_kept(field="tags"),), goal)
    yield Asked("opportunities/pipeline", "admin", "/api/v1/opportunities/pipeline/", (), goal)
    yield Asked("opportunities/forecast", "admin", "/api/v1/opportunities/forecast/", (), goal)
    yield Asked("opportunities/statistics", "admin", "/api/v1/opportunities/statistics/", (), goal)
    yield Asked("tasks/statistics", "admin", "/api/v1/tasks/statistics/", (), goal)
    yield Asked("tasks/statistics, rep", "rep0", "/api/v1/tasks/statistics/", (), goal)


def _feeds(facts: Facts) -> Iterator[Asked]:
    changes, first = "/api/v1/changes/", "changes, administrator"
    rows = ("SELECT * FROM core_change ORDER BY xid, id LIMIT 51",)
    goal = Goal(times=(2, first))
    yield Asked(first, "admin", changes, rows)
    yield Asked("changes, rep", "rep0", changes, (), goal)
    yield Asked("changes, manager", "manager", changes, (), goal)
    yield Asked("changes since", "admin", f"{changes}?since={facts.since}", (), goal)
    yield Asked("timeline", "admin", f"{LEADS}{facts.lead}/timeline/", (), Goal(growth=1.2))


def _admin(facts: Facts) -> Iterator[Asked]:
    """Pages of the admin, by milliseconds of CPU."""
    leads, goal = "/admin/lead_management/lead/", Goal(cpu_ms=60, growth=1.2)
    yield Asked("admin: list", "page", leads, (), goal)
    yield Asked("admin: filtered list", "page", f"{leads}?status=new", (), goal)
    yield Asked("admin: list by score", "page", f"{leads}?o=score", (), goal)
    yield Asked("admin: record page", "page", f"{leads}{facts.lead}/change/", (), goal)
