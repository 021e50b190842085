"""What goes live: noise and poisoned outcomes never, what is certainly better always."""

import numpy as np
import pytest

from core.lead_scoring.default_rules import DEFAULT_RULES
from core.lead_scoring.gate import judge
from core.lead_scoring.plausibility import implausible_rate, ranking_z
from core.lead_scoring.retraining import retrain, steps
from core.lead_scoring.tests.worlds import leads
from core.lead_scoring.training import train


def draws(signal, n=300, seed=1):
    """(outcomes, probabilities of a model) whose log-odds explain the outcome by `signal`."""
    random = np.random.default_rng(seed)
    while True:
        logits = random.normal(-1, 0.8, n)
        won = (random.random(n) < 1 / (1 + np.exp(-(-1 + signal * (logits + 1))))).astype(float)
        yield won, 1 / (1 + np.exp(-logits))


def first_verdict(won, found):
    return judge(won, found, {"the class prior": np.full(len(won), 0.27)}, first=True)


def test_of_models_of_noise_at_most_2_percent_pass_without_a_live_model():
    found = draws(0.0)
    assert sum(first_verdict(*next(found)).passed for _ in range(400)) <= 8


def test_of_models_with_signal_at_least_95_percent_pass_without_a_live_model():
    found = draws(1.0, n=600)
    assert sum(first_verdict(*next(found)).passed for _ in range(400)) >= 380


def test_a_first_model_must_beat_every_incumbent_and_not_only_be_no_worse():
    won, found = next(draws(1.0))
    equal = judge(won, found, {"the rules": found, "the class prior": np.full(len(won), 0.27)}, first=True)
    assert (equal.passed, equal.against) == (False, "the rules")
    assert equal.reason.startswith("Not certainly better: log loss ")
    assert judge(won, found, {"the live model": found}, first=False).passed


def test_verdicts_say_in_words_which_way_the_difference_goes():
    won, found = next(draws(1.0))
    prior = np.full(len(won), 0.27)
    better = first_verdict(won, found)
    assert better.reason.startswith("Better: log loss 0.")
    assert f"of the class prior: {better.difference:.4f} lower" in better.reason
    worse = judge(won, prior * (0.999 + 0.002 * found), {"the live model": found}, first=False)
    assert (worse.passed, worse.difference < 0) == (False, True)
    assert f"of the live model: {-worse.difference:.4f} higher" in worse.reason


def test_permuted_outcomes_of_real_leads_do_not_go_live_and_true_ones_do():
    frame, won = leads(700, 31, signal=1.5)
    assert retrain(frame, won, DEFAULT_RULES, None).verdict.passed
    shuffled = np.random.default_rng(4).permutation(won)
    made = retrain(frame, shuffled, DEFAULT_RULES, None)
    assert not made.verdict.passed
    assert made.model == made.holdout_model


@pytest.fixture(scope="module")
def champion():
    """A live model, and the leads that come after it."""
    frame, won = leads(1_300, 32, signal=1.5)
    return train(frame.take(np.arange(500)), won[:500], DEFAULT_RULES), frame, won


POISONS = {
    "all won": np.ones_like,
    "all lost": np.zeros_like,
    "permuted": lambda won: np.random.default_rng(3).permutation(won),
    "flipped": lambda won: 1 - won,
}


@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("poison", POISONS)
def test_poison_of_the_newest_leads_never_lives(champion, poison, share):
    live, frame, won = champion
    poisoned = won.copy()
    clean = round(len(won) * (1 - share))
    poisoned[clean:] = POISONS[poison](won[clean:])
    made = retrain(frame, poisoned, DEFAULT_RULES, live)
    if made.verdict.passed:
        assert made.suspicion
        assert made.model.about["leads"] <= clean, "what lives has learned from poisoned leads"


def test_true_outcomes_of_the_newest_leads_are_learned_from(champion):
    live, frame, won = champion
    made = retrain(frame, won, DEFAULT_RULES, live)
    assert made.verdict.passed, made.verdict.reason
    assert made.suspicion == ""
    assert made.model.about["leads"] == 1_300


def test_rates_may_drift_but_not_jump():
    random = np.random.default_rng(1)
    before, weights = (random.random(2_000) < 0.15).astype(float), np.ones(200)
    assert implausible_rate(before, (random.random(200) < 0.35).astype(float), weights) == ""
    assert implausible_rate(before, (random.random(200) < 0.06).astype(float), weights) == ""
    found = implausible_rate(before, np.ones(200), weights)
    assert found.startswith("of the newest 200 leads 100% were won, of those before 14%")
    assert implausible_rate(before, np.zeros(200), weights)


def test_the_ranking_of_shuffled_outcomes_is_standard_normal():
    random = np.random.default_rng(2)
    found = [
        ranking_z(random.permutation(np.r_[np.ones(30), np.zeros(70)]), random.random(100), np.ones(100))
        for _ in range(500)
    ]
    assert abs(np.mean(found)) < 0.15
    assert np.std(found) == pytest.approx(1, abs=0.1)


def test_a_first_model_of_few_leads_is_judged_on_the_newest_three_fifths():
    assert steps(np.ones(500), first=True) == [(200, 300), (300, 400), (400, 500)]
    assert steps(np.ones(500), first=False) == [(350, 500)]
    assert steps(np.ones(5_000), first=True) == [(4_000, 5_000)]
