"""How well columns are recognised by their headers: precision and recall over known files.

    python -m benchmarks.header_mapping header_aliases.json

The file lists header rows of other systems with the field each header means, under names of its own.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import django

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


def _same(one: str, other: str) -> bool:
    return one == other or any({one, other} <= alike for alike in ALIKE)


def measure(systems: list[dict[str, Any]]) -> Counter[str]:
    """Columns that were rightly mapped, wrongly mapped, and missed."""
    from core.entities import entities
    from core.transfer import mapping
    from core.transfer.import_fields import ImportFields

    propose_mapping = getattr(mapping, "map_by_headers", None) or mapping.propose_mapping
    found: Counter[str] = Counter()
    for system in systems:
        entity = entities.get({"deal": "opportunity"}.get(system["resource"], system["resource"]))
        if entity is None:
            continue
        targets = ImportFields(entity)
        for mapped in propose_mapping(targets, system["header"]):
            meant = system["map"].get(mapped.header) or ""
            meant = OURS.get(meant, meant)
            meant = meant if meant in targets.by_name else ""
            got = mapped.target.name if mapped.target else ""
            outcome = "right" if got and _same(got, meant) else "wrong" if got else "missed" if meant else ""
            if got and meant and not _same(got, meant):
                found["missed"] += 1
            if outcome:
                found[outcome] += 1
            if outcome in ("wrong", "missed"):
                name = f"{system['system']} {system['resource']}"
                print(f"  {outcome:7} {name:32} {mapped.header:34} {got or '-'} instead of {meant or '-'}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    django.setup()
    found = measure(json.loads(given.file.read_text(encoding="utf-8"))["systems"])
    right, wrong, missed = found["right"], found["wrong"], found["missed"]
    print(
        f"precision {right / (right + wrong):.3f}, recall {right / (right + missed):.3f} of {right + missed}"
    )


if __name__ == "__main__":
    main()
