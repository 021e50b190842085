"""Leads whose outcome depends on what they are, so that scoring has something to learn."""

from datetime import timedelta

import numpy as np
from django.utils import timezone

from lead_management.models import Lead

SOURCES = ["referral", "website", "cold_call", "event", "other"]
LOGITS = {"referral": 2.0, "event": 0.6, "website": 0.0, "cold_call": -1.5, "other": -0.5}
TITLES = ["CEO", "Sales Manager", "Software Engineer", "Intern", ""]


def closed_leads(n, seed=1, flip=False, **fields):
    """n closed leads over the last year, oldest first, stored at once; returns their ids."""
    random = np.random.default_rng(seed)
    now = timezone.now()
    made = []
    for i in range(n):
        source, title = str(random.choice(SOURCES)), str(random.choice(TITLES))
        size = int(10 ** random.uniform(0, 4))
        logit = -0.5 + LOGITS[source] + (1.2 if title == "CEO" else 0) + 0.5 * (np.log10(size) - 2)
        won = (random.random() < 1 / (1 + np.exp(-logit))) != flip
        created = now - timedelta(days=365 * (1 - i / n), minutes=i)
        made.append(
            Lead(
                first_name=f"Lead {i}",
                email=f"lead{i}@{'firm.example' if i % 2 else 'gmail.com'}",
                lead_source=source,
                job_title=title,
                company_size=size,
                company_name="Firm" if i % 3 else "",
                status="converted" if won else "lost",
                lost_reason="" if won else "No budget",
                converted_at=min(created + timedelta(days=20), now) if won else None,
                created_at=created,
                **fields,
            )
        )
    return [lead.pk for lead in Lead.objects.bulk_create(made)]
