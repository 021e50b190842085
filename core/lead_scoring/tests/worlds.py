"""Worlds that tests make leads of: what drives their outcomes is known, because it is written here."""

import numpy as np

from core.lead_scoring.default_rules import SOURCE_POINTS
from core.lead_scoring.features import FeatureSpec, Frame, Kind, frame_of

SPECS = (
    FeatureSpec("lead_source", "Source", Kind.CATEGORY),
    FeatureSpec("email_kind", "E-mail", Kind.CATEGORY),
    FeatureSpec("company_name", "Company", Kind.CATEGORY),
    FeatureSpec("tags", "Tags", Kind.MULTI),
    FeatureSpec("company_size", "Company size", Kind.NUMBER),
    FeatureSpec("engagement", "Engagement", Kind.NUMBER),
    FeatureSpec("newsletter", "Newsletter", Kind.BOOLEAN),
    FeatureSpec("last_contact", "Last contact", Kind.DATE),
)
SOURCES = [*SOURCE_POINTS, "cold_call", "other"]


def leads(n: int, seed: int = 1, signal: float = 1.0) -> tuple[Frame, np.ndarray]:
    """n leads in time order with outcomes; `signal` 0 makes the outcome noise."""
    random = np.random.default_rng(seed)
    source = random.choice(SOURCES, n)
    business = random.random(n) < 0.5
    company = random.random(n) < 0.7
    vip = random.random(n) < 0.1
    size = np.exp(random.normal(3, 1.3, n))
    size[random.random(n) < 0.2] = np.nan
    engagement = random.poisson(2, n).astype(float)
    newsletter = (random.random(n) < 0.3).astype(float)
    points = (
        np.array([SOURCE_POINTS.get(name, 0) for name in source]) + 10 * business + 10 * company + 15 * vip
    )
    logit = -1.2 + signal * (
        (points - 25) / 25
        + 0.35 * (engagement - 2)
        + 0.25 * np.where(np.isnan(size), 0, np.log(np.where(np.isnan(size), 1, size)) - 3)
        + 0.8 * newsletter * (engagement > 2)
    )
    won = (random.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    raw = {
        "lead_source": source,
        "email_kind": np.where(business, "business", "free"),
        "company_name": [("known" if filled else None) for filled in company],
        "tags": [("vip", "east") if tagged else None for tagged in vip],
        "company_size": size,
        "engagement": engagement,
        "newsletter": newsletter,
        "last_contact": random.integers(0, 90, n).astype(float),
    }
    return frame_of(SPECS, raw, n), won
