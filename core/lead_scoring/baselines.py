"""What the pipeline is measured beside: class prior, rules, regression, forests, boosting, Odoo's Bayes.

Plain scikit-learn with its usual preparation, as someone would write it in an afternoon. Evaluation only.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from core.lead_scoring.features import Frame, Kind
from core.lead_scoring.inputs import MAX_BINS, encode_all, learn_inputs
from core.lead_scoring.linear import fit_naive_bayes
from core.lead_scoring.model import rules_only
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scorer import Scorer, sigmoid
from core.lead_scoring.training import rule_calibration, training_of

# (past, outcomes of the past, future) → probabilities of the future.
Baseline = Callable[[Frame, np.ndarray, Frame], np.ndarray]
SEED = 7
FEW_BINS = 8
# Levels of a category that scikit-learn's booster takes.
NATIVE_LEVELS = 254


def class_prior(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    return np.full(future.n, won.mean())


def ruled(rules: RuleSet) -> Baseline:
    """The rules alone, Platt-scaled."""

    def predict(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
        calibration = rule_calibration(training_of(past, won, rules))
        return Scorer(rules_only(rules, *calibration, {})).probabilities(future)

    return predict


def odoo_bayes(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    """Odoo's naive Bayes over the fields cut into bins."""
    return _odoo_bayes(past, won, future, MAX_BINS)


def odoo_bayes_coarse(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    """The same with numbers cut into eight bins, of which each is better known."""
    return _odoo_bayes(past, won, future, FEW_BINS)


def _odoo_bayes(past: Frame, won: np.ndarray, future: Frame, bins: int) -> np.ndarray:
    inputs, _ = learn_inputs(past, bins)
    tables = fit_naive_bayes(inputs, encode_all(inputs, past), won, np.ones(len(won)))
    return sigmoid(tables.logits(encode_all(inputs, future)))


def logistic_regression(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    from sklearn.compose import make_column_transformer  # heavy, evaluation only
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, texts = plain_columns(past)
    numeric = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    encoder = OneHotEncoder(handle_unknown="ignore", min_frequency=10)
    prepared = make_column_transformer((numeric, numbers), (encoder, texts))
    return _fit_and_predict(make_pipeline(prepared, LogisticRegression(max_iter=500)), past, won, future)


def random_forest(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    from sklearn.ensemble import RandomForestClassifier  # heavy, evaluation only

    forest = RandomForestClassifier(200, min_samples_leaf=5, n_jobs=2, random_state=SEED)
    return _fit_and_predict(_with_codes(past, forest, impute=True), past, won, future)


def plain_boosting(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier  # heavy, evaluation only

    booster = HistGradientBoostingClassifier(random_state=SEED)
    return _fit_and_predict(_with_codes(past, booster, impute=False), past, won, future)


def native_boosting(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    """Histogram boosting that splits categories by subsets of their levels."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier  # heavy, evaluation only
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    numbers, texts = plain_columns(past)
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=NATIVE_LEVELS
    )
    prepared = make_column_transformer(("passthrough", numbers), (encoder, texts))
    categories = [len(numbers) + i for i in range(len(texts))]
    booster = HistGradientBoostingClassifier(categorical_features=categories, random_state=SEED)
    return _fit_and_predict(make_pipeline(prepared, booster), past, won, future)


def lightgbm(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    """LightGBM with its defaults and native categories, where it is installed."""
    from lightgbm import LGBMClassifier  # type: ignore[import-not-found]  # optional, evaluation only

    known, later = _with_categories(past, future)
    model = LGBMClassifier(verbose=-1, n_jobs=1, random_state=SEED).fit(known, won)
    return np.asarray(model.predict_proba(later))[:, 1]


def catboost(past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    """CatBoost with its defaults and native categories, where it is installed."""
    from catboost import CatBoostClassifier  # type: ignore[import-not-found]  # optional, evaluation only

    numbers, texts = plain_columns(past)
    columns = [*numbers, *texts]
    model = CatBoostClassifier(
        verbose=0, thread_count=1, random_seed=SEED, cat_features=texts, allow_writing_files=False
    )
    model.fit(plain_table(past)[columns], won)
    return np.asarray(model.predict_proba(plain_table(future)[columns]))[:, 1]


def installed() -> dict[str, Baseline]:
    """Boosters of other packages, as far as they are installed."""
    optional = {"LightGBM": ("lightgbm", lightgbm), "CatBoost": ("catboost", catboost)}
    return {name: model for name, (package, model) in optional.items() if find_spec(package)}


def _with_categories(past: Frame, future: Frame) -> tuple[Any, Any]:
    """Both tables with their texts as categories of the past; what is new later is missing."""
    import pandas as pd

    numbers, texts = plain_columns(past)
    known, later = (plain_table(frame)[[*numbers, *texts]] for frame in (past, future))
    for name in texts:
        levels = pd.CategoricalDtype(sorted(set(known[name])))
        known[name], later[name] = known[name].astype(levels), later[name].astype(levels)
    return known, later


def _with_codes(past: Frame, model: Any, *, impute: bool) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    numbers, texts = plain_columns(past)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    numeric: Any = SimpleImputer(strategy="median", keep_empty_features=True) if impute else "passthrough"
    return make_pipeline(make_column_transformer((numeric, numbers), (encoder, texts)), model)


def _fit_and_predict(pipeline: Any, past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    return pipeline.fit(plain_table(past), won).predict_proba(plain_table(future))[:, 1]


def plain_columns(past: Frame) -> tuple[list[str], list[str]]:
    """(columns of numbers, columns of texts) that hold anything in the past."""
    numbers = [s.key for s in past.specs if past.columns[s.key].dtype != object]
    filled = [key for key in numbers if not np.isnan(past.columns[key]).all()]
    return filled, [s.key for s in past.specs if past.columns[s.key].dtype == object]


def plain_table(frame: Frame) -> Any:
    """The frame as a DataFrame: texts for categories, joined texts for multiple choices."""
    import pandas as pd

    def shown(spec: Any) -> Any:
        values = frame.columns[spec.key]
        if spec.kind == Kind.MULTI:
            return [";".join(sorted(value or ())) for value in values]
        return [value or "" for value in values] if spec.kind == Kind.CATEGORY else values

    return pd.DataFrame({spec.key: shown(spec) for spec in frame.specs})
