"""How well columns are recognised by their headers: precision and recall over known files.

    python -m benchmarks.header_mapping header_aliases.json

The file lists header rows of other systems with the field each header means, under names of its own. Each is
measured as it is listed, and written as other programs and people write the same words.
"""

import argparse
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.testing.servers import start_servers
from benchmarks.steps import django_ready

# What the list calls a field → what we call it; what we have no field for is best left out.
OURS = {
    "secondary_email": "additional_emails",
    "other_phone": "additional_phones",
    "employee_count": "company_size",
    "email_opt_out": "do_not_contact",
    "phone_opt_out": "do_not_contact",
    "company_external_id": "company.external_id",
    "contact_external_id": "contact.external_id",
    "lead_external_id": "lead.external_id",
    "opportunity_external_id": "opportunity.external_id",
    "contact_email": "contact.email",
    "company_domain": "company.domain",
}
# Several of our fields that say the same.
ALIKE = [
    {"company", "company_name", "company.domain"},
    {"contact", "contact.email", "contact_name"},
    {"email", "additional_emails"},
    {"phone", "mobile", "additional_phones"},
    {"due_date", "reminder_at"},
    {"owner", "assigned_to"},
    {"description", "notes"},
]


def _words(header: str) -> list[str]:
    found = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header))
    return found or [header]


# How a header is written: name → from the header and what the table is of.
WRITTEN: dict[str, Callable[[str, str], str]] = {
    "as listed": lambda header, _: header,
    "UPPERCASE": lambda header, _: "".join(_words(header)).upper(),
    "with.dots": lambda header, _: ".".join(_words(header)).lower(),
    "camelCase": lambda header, _: _words(header)[0].lower() + "".join(w.title() for w in _words(header)[1:]),
    "[brackets]": lambda header, _: f"[{header}]",
    "* required:": lambda header, _: f"* {header} (required):",
    "with symbols": lambda header, _: f"\N{PUSHPIN} {header} \N{RIGHTWARDS ARROW}",
    "numbered 1": lambda header, _: f"{header} 1",
    "of its table": lambda header, entity: f"{entity.title()} {header}",
}


def written(systems: list[dict[str, Any]], write: Callable[[str, str], str]) -> list[dict[str, Any]]:
    """The systems with their headers written in another way, each there once."""
    found = []
    for system in systems:
        meant: dict[str, Any] = {}
        for header in system["header"]:
            name = write(header, system["resource"])
            meant[name if name not in meant else f"{name} {len(meant)}"] = system["map"].get(header)
        found.append(system | {"header": list(meant), "map": meant})
    return found


def _same(one: str, other: str) -> bool:
    return one == other or any({one, other} <= alike for alike in ALIKE)


def measure(systems: list[dict[str, Any]], *, named: bool) -> Counter[str]:
    """Columns that were rightly mapped, wrongly mapped, and missed; `named` prints the last two."""
    from core.entities import entities
    from core.transfer import mapping
    from core.transfer.import_fields import ImportFields

    found: Counter[str] = Counter()
    for system in systems:
        entity = entities.get({"deal": "opportunity"}.get(system["resource"], system["resource"]))
        if entity is None:
            continue
        targets = ImportFields(entity)
        for mapped in mapping.map_by_headers(targets, system["header"]):
            meant = system["map"].get(mapped.header) or ""
            meant = OURS.get(meant, meant)
            meant = meant if meant in targets.by_name else ""
            got = mapped.target.name if mapped.target else ""
            outcome = "right" if got and _same(got, meant) else "wrong" if got else "missed" if meant else ""
            if got and meant and not _same(got, meant):
                found["missed"] += 1
            if outcome:
                found[outcome] += 1
            if named and outcome in ("wrong", "missed"):
                name = f"{system['system']} {system['resource']}"
                print(f"  {outcome:7} {name:32} {mapped.header:34} {got or '-'} instead of {meant or '-'}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    systems = json.loads(parser.parse_args().file.read_text(encoding="utf-8"))["systems"]
    servers = start_servers()
    try:
        address = {"DATABASE_URL": servers.postgres.superuser_url, "REDIS_URL": servers.valkey.url}
        os.environ |= address | {"CRM_ENV": "development", "SECRET_KEY": "benchmark-" * 6}
        django_ready()
        for name, write in WRITTEN.items():
            found = measure(written(systems, write), named=name == "as listed")
            right, wrong, missed = found["right"], found["wrong"], found["missed"]
            precision, recall = right / (right + wrong), right / (right + missed)
            print(f"{name:<14} precision {precision:.3f}, recall {recall:.3f} of {right + missed}")
    finally:
        servers.stop()


if __name__ == "__main__":
    main()
