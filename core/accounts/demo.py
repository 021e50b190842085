"""Two teams with managers, sales reps and a viewer."""

from core.accounts.models import Team, User
from core.demo.parts import Demo

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
            is_staff=True,
        )
        demo.users.setdefault(role, []).append(user)
    return f"{len(PEOPLE)} users in {len(teams)} teams; their password is {PASSWORD!r}"


def _teams() -> dict[str, Team]:
    sales = Team.objects.get_or_create(name="Sales")[0]
    west = Team.objects.get_or_create(name="West", defaults={"parent": sales})[0]
    east = Team.objects.get_or_create(name="East", defaults={"parent": sales})[0]
    return {"Sales": sales, "West": west, "East": east}
