"""Two teams with managers, sales reps and a viewer; saved views and custom fields to try."""

from core.accounts.models import Team, User
from core.conditions.models import SavedView
from core.demo.parts import Demo
from core.entities.models import CustomField

PASSWORD = "password"  # noqa: S105  the demo is for machines that nobody else reaches
PEOPLE = (
    # username, first name, last name, role, team, zone
    ("manager", "Maria", "Santos", "manager", "West", "America/Los_Angeles"),
    ("manager2", "Erik", "Larsen", "manager", "East", "Europe/Berlin"),
    ("rep", "Robin", "Reid", "rep", "West", "America/Los_Angeles"),
    ("rep2", "Wei", "Zhang", "rep", "West", "America/Los_Angeles"),
    ("rep3", "Nora", "Novak", "rep", "East", "Europe/Berlin"),
    ("rep4", "Omar", "Haddad", "rep", "East", "Europe/London"),
    ("viewer", "Vera", "Vogel", "viewer", "Sales", "UTC"),
)
FIELDS: tuple[tuple[str, str, str, str, list[str]], ...] = (
    # entity, key, label, type, choices
    ("lead", "budget", "Budget", "money", []),
    ("lead", "plan", "Plan of interest", "choice", ["starter", "team", "enterprise"]),
    ("lead", "trial_ends", "Trial ends", "date", []),
    ("opportunity", "plan", "Plan", "choice", ["starter", "team", "enterprise"]),
    ("company", "customer_since", "Customer since", "date", []),
)
SOON = {"field": "expected_close_date", "op": "within_next", "value": {"days": 30}}
VIEWS = (
    ("Hot leads", "lead", {"field": "lead_score", "op": "gt", "value": 70}, "-lead_score"),
    ("Californian leads", "lead", {"state": "CA"}, "-created_at"),
    ("Closing soon", "opportunity", SOON, "expected_close_date"),
    ("Big companies", "company", {"field": "company_size", "op": "gte", "value": 500}, "-company_size"),
)


def add_people(demo: Demo) -> str:
    """Users by role into `demo.users`; what is there already stays as it is."""
    teams = _teams()
    for username, first, last, role, team, zone in PEOPLE:
        user = User.objects.filter(username=username).first() or User.objects.create_user(
            username,
            f"{username}@crm.example",
            PASSWORD,
            first_name=first,
            last_name=last,
            role=role,
            team=teams[team],
            time_zone=zone,
            is_staff=role != "viewer",
        )
        demo.users.setdefault(role, []).append(user)
    return f"{len(PEOPLE)} users in {len(teams)} teams; their password is {PASSWORD!r}"


def _teams() -> dict[str, Team]:
    sales = Team.objects.get_or_create(name="Sales")[0]
    west = Team.objects.get_or_create(name="West", defaults={"parent": sales})[0]
    east = Team.objects.get_or_create(name="East", defaults={"parent": sales})[0]
    return {"Sales": sales, "West": west, "East": east}


def add_settings(demo: Demo) -> str:
    """Custom fields and shared views."""
    for entity, key, label, kind, choices in FIELDS:
        CustomField.objects.get_or_create(
            entity=entity, key=key, defaults={"label": label, "type": kind, "choices": choices}
        )
    owner = demo.users["manager"][0]
    for name, entity, conditions, ordering in VIEWS:
        SavedView.objects.get_or_create(
            owner=owner,
            entity=entity,
            name=name,
            defaults={"conditions": conditions, "ordering": ordering, "is_shared": True},
        )
    return f"{len(FIELDS)} custom fields, {len(VIEWS)} shared views"
