"""Scores: points add up for every lead, whatever it holds; artefacts are read back or refused."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidError
from core.lead_scoring.default_rules import DEFAULT_RULES
from core.lead_scoring.features import Frame, frame_of
from core.lead_scoring.inputs import encode_all
from core.lead_scoring.model import (
    DamagedModelError,
    NewerFormatError,
    content_hash,
    model_from_json,
    rules_only,
)
from core.lead_scoring.reasons import labels_of, reasons
from core.lead_scoring.rules import POINTS_PER_LOGIT, parse_rules
from core.lead_scoring.scorer import Scorer, rounded
from core.lead_scoring.tests.worlds import SPECS, leads
from core.lead_scoring.training import train

FRAME, WON = leads(2_000, seed=3)
LEARNED = train(FRAME, WON, DEFAULT_RULES)
RULED = train(FRAME.take(np.arange(0)), WON[:0], DEFAULT_RULES)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=200),
    st.lists(st.one_of(st.text(max_size=20), st.none(), st.integers()), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def one_lead(**values) -> Frame:
    return frame_of(SPECS, {key: [value] for key, value in values.items()}, 1)


@pytest.mark.parametrize("model", [LEARNED, RULED], ids=["learned", "rules"])
@given(values=st.lists(st.fixed_dictionaries({s.key: ANYTHING for s in SPECS}), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_points_add_up_for_any_lead(model, values):
    raw = {spec.key: [lead[spec.key] for lead in values] for spec in SPECS}
    scored = Scorer(model).score(frame_of(SPECS, raw, len(values)))
    assert ((scored.score >= 0) & (scored.score <= 100)).all()
    assert ((scored.probability > 0) & (scored.probability < 1)).all()
    assert (model.base_score + scored.points.sum(axis=1) == scored.score).all()
    exact = model.base_score + scored.shares.sum(axis=1)
    assert np.abs(np.rint(exact) - scored.score).max() <= 0
    assert np.abs(scored.points - scored.shares).max() < 1.0


def test_shares_add_up_to_the_exact_score_within_a_billionth():
    scorer = Scorer(LEARNED)
    scored = scorer.score(FRAME)
    typical = scorer.logits(FRAME) - LEARNED.intercept
    assert np.abs(50 + scored.shares.sum(axis=1) - 100 / (1 + np.exp(-typical))).max() < 1e-9


def test_the_log_odds_are_what_tables_and_rules_say_added_up():
    codes = encode_all(LEARNED.inputs, FRAME)
    assert LEARNED.two
    assert 0 < LEARNED.rule_weight < 1
    expected = np.full(FRAME.n, LEARNED.intercept)
    for i, table in enumerate(LEARNED.one):
        expected += table[codes[:, i]]
    for (i, j), matrix in LEARNED.two.items():
        expected += matrix[codes[:, i], codes[:, j]]
    ruled = LEARNED.rules.points_of(LEARNED.rules.held(FRAME)) - np.array(LEARNED.rule_means)
    expected += ruled.sum(axis=1) * LEARNED.rule_weight / POINTS_PER_LOGIT
    assert np.abs(Scorer(LEARNED).logits(FRAME) - expected).max() < 1e-9


@given(
    st.lists(st.floats(-40, 40), min_size=1, max_size=12),
    st.floats(-0.5, 0.5),
)
def test_rounding_keeps_the_sum_and_moves_no_share_by_a_whole_point(shares, off):
    target = round(math.fsum(shares))
    found = rounded(np.array([shares]), np.array([target]))[0]
    assert found.sum() == target
    assert np.abs(found - np.array(shares)).max() <= 1 + 1e-9


@pytest.mark.parametrize(
    ("values", "score"),
    [
        ({}, 50),
        ({"lead_source": "referral"}, 70),
        ({"lead_source": "WEBSITE "}, 65),
        ({"lead_source": "other", "email_kind": "business"}, 60),
        ({"company_name": "known"}, 60),
        ({"tags": ["East", "VIP"]}, 65),
        ({"lead_source": "referral", "email_kind": "business", "company_name": "known"}, 90),
        (
            {"lead_source": "referral", "email_kind": "business", "company_name": "known", "tags": ["vip"]},
            100,
        ),
    ],
)
def test_the_first_rules(values, score):
    assert DEFAULT_RULES.score(one_lead(**values)).tolist() == [score]


def test_what_the_scale_cuts_off_is_a_factor_of_its_own():
    lead = one_lead(lead_source="referral", email_kind="business", company_name="known", tags=["vip"])
    scorer = Scorer(RULED)
    scored = scorer.score(lead)
    points = dict(zip(scorer.factors, scored.points[0].tolist(), strict=True))
    assert points == {"lead_source": 20, "email_kind": 10, "company_name": 10, "tags": 15, "limit": -5}
    assert scored.score.tolist() == [100]


def test_one_lead_scores_as_it_does_among_many():
    scorer = Scorer(LEARNED)
    together = scorer.score(FRAME)
    for i in (0, 17, 1_999):
        alone = scorer.score(FRAME.take(np.array([i])))
        assert alone.score[0] == together.score[i]
        assert alone.points[0].tolist() == together.points[i].tolist()


def test_unseen_values_fall_to_a_stated_bin():
    scorer = Scorer(LEARNED)
    scored = scorer.score(one_lead(lead_source="carrier pigeon", company_size=1e300))
    codes = scored.codes[0][: len(LEARNED.inputs)]
    words = {one.feature: one.words(int(code)) for one, code in zip(LEARNED.inputs, codes, strict=True)}
    assert words["lead_source"] == "other"
    assert words["company_size"].startswith("above ")
    assert words["engagement"] == "missing"


def test_an_artefact_is_read_back_from_json_as_it_was():
    text = json.dumps(LEARNED.to_json())
    again = model_from_json(json.loads(text))
    assert again.to_json()["hash"] == LEARNED.to_json()["hash"]
    assert Scorer(again).score(FRAME).points.tolist() == Scorer(LEARNED).score(FRAME).points.tolist()


def damaged(**changes):
    body = json.loads(json.dumps(LEARNED.to_json())) | changes
    return body | {"hash": content_hash(body)}


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (None, DamagedModelError),
        ([], DamagedModelError),
        ({"format": "1"}, DamagedModelError),
        ({"format": 99}, NewerFormatError),
        (LEARNED.to_json() | {"intercept": 3.0}, DamagedModelError),
        (damaged(one=[]), DamagedModelError),
        (damaged(inputs=[{"feature": "x"}]), DamagedModelError),
        (damaged(two=[{"inputs": [0, 99], "table": [[0.0]]}]), DamagedModelError),
        (damaged(intercept="NaN"), DamagedModelError),
        (damaged(rules={"rules": [{"points": 1}]}), DamagedModelError),
        (damaged(rule_means=[]), DamagedModelError),
    ],
)
def test_damaged_foreign_and_newer_artefacts_are_refused(raw, error):
    with pytest.raises(error):
        model_from_json(raw)


RULES_OF_EVERY_KIND = [
    *({"feature": "company_size", "test": "at_least", "value": n, "points": 1} for n in range(1, 15)),
    {"feature": "company_size", "test": "at_most", "value": 12_000, "points": 2},
    {"feature": "lead_source", "test": "in", "value": ["Event", "referral"], "points": 4},
    {"feature": "tags", "test": "in", "value": list("abcd"), "points": 3, "label": "A letter"},
    {"feature": "tags", "test": "in", "value": list("efgh"), "points": 9},
    {"feature": "email_kind", "test": "filled", "value": False, "points": -5},
]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ({}, ["Email kind: not known -5"]),
        ({"email_kind": "business"}, []),
        (
            {"email_kind": "free", "company_size": 2},
            ["Company size: at least 1, at least 2, at most 12,000 +4"],
        ),
        (
            {"email_kind": "free", "tags": ["a", "h"], "lead_source": "event"},
            ["Tags: A letter, e or f or g or h +12", "Lead source: event or referral +4"],
        ),
    ],
)
def test_the_reasons_of_rules_say_which_of_them_held(values, texts):
    model = rules_only(parse_rules({"rules": RULES_OF_EVERY_KIND}), 0.0, 1.0, {})
    scorer = Scorer(model)
    scored = scorer.score(one_lead(**values))
    assert scored.codes.shape == (1, 2) == (1, scorer.code_width)
    found = reasons(scorer, scored.points[0].tolist(), scored.codes[0].tolist(), labels_of(model))
    assert [one["text"] for one in found] == texts


def test_importance_is_a_share_of_all_points_whichever_way_they_pull():
    rules = [
        {"feature": "email_kind", "test": "filled", "value": False, "points": -30},
        {"feature": "company_size", "test": "at_least", "value": 1, "points": 10},
    ]
    scorer = Scorer(rules_only(parse_rules({"base": 50, "rules": rules}), 0.0, 1.0, {}))
    scored = scorer.score(one_lead(company_size=2))
    found = reasons(scorer, scored.points[0].tolist(), scored.codes[0].tolist(), labels_of(scorer.model))
    assert [(one["factor"], one["points"], one["importance"]) for one in found] == [
        ("email_kind", -30, 0.75),
        ("company_size", 10, 0.25),
    ]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ([], "rules"),
        ({"rules": [], "more": 1}, "rules"),
        ({"base": 500, "rules": []}, "base"),
        ({"rules": [{"feature": "nope", "test": "filled", "value": True, "points": 5}]}, "rules[0].feature"),
        ({"rules": [{"feature": "tags", "test": "like", "value": "x", "points": 5}]}, "rules[0].test"),
        ({"rules": [{"feature": "tags", "test": "in", "value": [], "points": 5}]}, "rules[0].value"),
        ({"rules": [{"feature": "tags", "test": "at_least", "value": 3, "points": 5}]}, "rules[0].test"),
        ({"rules": [{"feature": "tags", "test": "in", "value": ["a"], "points": 1.5}]}, "rules[0].points"),
        ({"rules": ["x"]}, "rules[0]"),
    ],
)
def test_bad_rule_sets_are_refused_by_field(raw, field):
    with pytest.raises(InvalidError) as caught:
        parse_rules(raw, {spec.key: spec for spec in SPECS})
    assert field in [issue.field for issue in caught.value.issues]


def test_a_rule_set_is_read_back_as_it_was():
    again = parse_rules(json.loads(json.dumps(DEFAULT_RULES.to_json())), None)
    assert again.to_json() == json.loads(json.dumps(DEFAULT_RULES.to_json()))
