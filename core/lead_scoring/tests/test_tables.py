"""Evaluating any labelled table: odd dates, blanks, names, months, outcomes in words."""

import csv
import io
import json
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from core.lead_scoring import baselines
from core.lead_scoring.features import Kind
from core.lead_scoring.tabular import TableError, UnclearOutcomeError, read_table


@pytest.fixture
def table(tmp_path):
    def write(header, rows, encoding="utf-8", delimiter=","):
        path = tmp_path / "table.csv"
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=delimiter).writerows([header, *rows])
        return path

    return write


def kinds(found):
    return {spec.key: spec.kind for spec in found.frame.specs}


def test_kinds_are_guessed_by_column(table):
    rows = [
        [i, ["yes", "no"][i % 2], f"{i * 1.5:,.2f}", f"${i}", ["web", "fair"][i % 2], "a;b" if i % 3 else "b"]
        for i in range(1, 101)
    ]
    found = read_table(table(["when", "won", "amount", "price", "from", "tags"], rows), "won", "when")
    assert kinds(found) == {
        "amount": Kind.NUMBER,
        "price": Kind.NUMBER,
        "from": Kind.CATEGORY,
        "tags": Kind.MULTI,
    }
    assert found.frame.columns["amount"][99] == 150.0
    assert found.won.tolist()[:2] == [0.0, 1.0]


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d %b %Y", "%Y-%m-%dT%H:%M:%S"]
)
def test_rows_are_put_in_time_order_whatever_the_dates_look_like(table, form):
    days = [date(2024, 1, 5) + timedelta(days=(i * 37) % 100) for i in range(100)]
    rows = [[day.strftime(form), "won" if i % 2 else "lost", day.toordinal()] for i, day in enumerate(days)]
    found = read_table(table(["created", "state", "n"], rows), "state", "created")
    assert np.diff(found.frame.columns["n"]).min() > 0


def test_months_without_years_follow_the_order_of_the_file(table):
    months = ["nov", "dec", "jan", "feb"]
    rows = [[months[i // 50], i % 2, i] for i in range(200)]
    found = read_table(table(["month", "y", "n"], rows), "y", "month")
    assert found.frame.columns["n"].tolist() == list(range(200))


def test_rows_without_an_outcome_or_a_time_are_left_out_and_said(table):
    rows = [["2024-01-01", ["Closed Won", "Closed Lost", "Negotiation"][i % 3], i] for i in range(90)]
    rows[0][0] = ""
    found = read_table(table(["created", "stage", "n"], rows), "stage", "created")
    assert len(found.won) == 59
    assert "30 rows without an outcome were left out" in found.notes
    assert "1 rows without a time were left out" in found.notes


def test_dates_after_the_row_are_known_only_later(table):
    rows = [
        [f"2024-01-{1 + i % 28:02}", i % 2, f"2024-03-{1 + i % 28:02}", f"2023-03-{1 + i % 28:02}"]
        for i in range(60)
    ]
    found = read_table(table(["created", "y", "closed", "founded"], rows), "y", "created")
    assert kinds(found) == {"founded": Kind.DATE}
    assert any(note.startswith("closed lies after") for note in found.notes)


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8-sig", ";"), ("cp1252", ","), ("utf-8", "\t")])
def test_encodings_and_separators_are_found(table, encoding, delimiter):
    rows = [[i, i % 2, "Zürich" if i % 2 else "Köln"] for i in range(60)]
    found = read_table(table(["t", "y", "Stadt"], rows, encoding, delimiter), "y", "t")
    assert found.frame.columns["Stadt"][1] == "zürich"


@pytest.mark.parametrize(("outcome", "time"), [("nope", "t"), ("y", "nope"), ("t", "y")])
def test_what_cannot_be_evaluated_is_said(table, outcome, time):
    rows = [[i * 1.37, i % 2] for i in range(60)]
    with pytest.raises(TableError):
        read_table(table(["t", "y"], rows), outcome, time)


def moments(form):
    days = [datetime(2023, 1, 1) + timedelta(hours=31 * i) for i in range(120)]  # noqa: DTZ001
    return {
        "epoch": [int(day.timestamp()) for day in days],
        "milliseconds": [int(day.timestamp() * 1000) for day in days],
        "integer": list(range(120)),
        "compact": [day.strftime("%Y%m%d%H") for day in days],
        "offset": [day.isoformat() + "+02:00" for day in days],
        "american": [day.strftime("%m/%d/%Y %I:%M %p") for day in days],
        "both": [day.strftime("%d.%m.%Y %H:%M" if i % 2 else "%Y-%m-%d %H:%M") for i, day in enumerate(days)],
    }[form]


@pytest.mark.parametrize(
    "form", ["epoch", "milliseconds", "integer", "compact", "offset", "american", "both"]
)
def test_time_is_understood_however_it_is_written(table, form):
    shuffled = np.random.default_rng(1).permutation(120)
    rows = [[moments(form)[i], i % 2, i] for i in shuffled]
    found = read_table(table(["t", "y", "n"], rows), "y", "t")
    assert found.frame.columns["n"].tolist() == list(range(120))


@pytest.mark.parametrize(
    ("won", "lost"),
    [
        ("yes", "no"), ("Y", "N"), ("1", "0"), ("1.0", "0.0"), ("true", "false"), ("TRUE", "FALSE"),
        ("Won", "Lost"), ("Converted", "Not Converted"), ("good", "bad"), ("ja", "nein"), ("oui", "non"),
        ("subscribed", "not subscribed"), ("1", "-1"),
    ],
)  # fmt: skip
def test_the_two_sides_of_an_outcome_are_known_by_their_words(table, won, lost):
    rows = [[i, won if i % 3 else lost] for i in range(60)]
    assert read_table(table(["t", "y"], rows), "y", "t").won.tolist() == [float(i % 3 > 0) for i in range(60)]


@pytest.mark.parametrize(
    "values", [("alpha", "beta"), ("1", "2"), ("0", "1", "2"), ("won", "sold"), ("red", "green", "blue")]
)
def test_which_of_unclear_outcomes_means_won_is_asked_and_never_concluded(table, values):
    path = table(["t", "y"], [[i, values[min(i % 5, len(values) - 1)]] for i in range(60)])
    with pytest.raises(UnclearOutcomeError, match=r"say it with --won. There are: .*\(\d+ rows\)") as caught:
        read_table(path, "y", "t")
    assert caught.value.values == sorted(values)
    for wanted in values:
        found = read_table(path, "y", "t", won=[wanted.upper()])
        assert found.won.tolist() == [float(values[min(i % 5, len(values) - 1)] == wanted) for i in range(60)]


def test_what_means_won_must_be_there_and_leave_something_lost(table):
    path = table(["t", "y"], [[i, "beta" if i % 3 else "alpha"] for i in range(60)])
    with pytest.raises(TableError, match="the outcome column has no 'gamma'; it holds: alpha, beta"):
        read_table(path, "y", "t", won=["gamma"])
    with pytest.raises(TableError, match="nothing is left to be lost"):
        read_table(path, "y", "t", won=["alpha", "beta"])


def test_the_command_asks_at_a_terminal_and_elsewhere_ends_with_the_question(table, monkeypatch):
    path = table(["t", "y", "x"], [[i, "beta" if i % 3 else "alpha", i % 7] for i in range(120)])
    with pytest.raises(CommandError, match="which outcome means won is not clear; say it with --won"):
        call_command("evaluate_lead_scoring", str(path), "--outcome=y", "--time=t")
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "gamma")
    with pytest.raises(CommandError, match="has no 'gamma'"):
        call_command("evaluate_lead_scoring", str(path), "--outcome=y", "--time=t")
    assert asked == ["Which outcome means won? alpha, beta: "]


LINES = [f"{i},{'yes' if i % 3 else 'no'},{i % 7}" for i in range(1, 61)]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "cannot be read as CSV"),
        (b"t,y,x\n", "no two sides"),
        (b"PK\x03\x04" + bytes(500), "no CSV file"),
        (bytes(range(256)) * 50, "no CSV file"),
        (b't,y,x\n"1,yes,3\n' + b"2,no,3\n" * 100, "cannot be read as CSV"),
        (
            ("t,y,x\n" + "\n".join(LINES[:30])).encode(),
            "30 rows with outcome and time; an evaluation needs 50",
        ),
        (("t,y,x\n" + "\n".join(LINES).replace("no", "yes")).encode(), "no two sides"),
        (
            ("t,y,x\n" + "\n".join(f",{line.partition(',')[2]}" for line in LINES)).encode(),
            "time column is empty",
        ),
        (("A report\n\nt,y,x\n" + "\n".join(LINES)).encode(), "no column 'y', 't'; there are: A report"),
    ],
)
def test_what_is_no_table_ends_with_one_sentence(tmp_path, content, error):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=error) as caught:
        call_command("evaluate_lead_scoring", str(path), "--outcome=y", "--time=t", stderr=io.StringIO())
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_the_outcome_is_no_time_and_a_folder_is_no_file(table, tmp_path):
    path = table(["t", "y"], [[i, i % 2] for i in range(60)])
    for file, time in ((path, "y"), (tmp_path, "t"), (tmp_path / "none.csv", "t")):
        with pytest.raises(CommandError):
            call_command("evaluate_lead_scoring", str(file), "--outcome=y", f"--time={time}")


def test_longer_lines_and_sixteen_bits_are_read(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(("t,y,x\n" + "\n".join(f"{line}," for line in LINES)).encode("utf-16"))
    found = read_table(path, "y", "t")
    assert found.frame.columns["x"].tolist() == [float(i % 7) for i in range(1, 61)]


def cells(i, won):
    """Two cells of each kind of column that says little, or too much, about an outcome."""
    return {
        "constant": ["same", ""],
        "identifiers": [f"id {i}", "ü" * 3_000 + str(i)],
        "infinities": [["inf", "1e400", "-1e999"][i % 3], ""],
        "leak": ["yes" if won else "no", ""],
        "missing": [i % 5 if i % 3 else "", "NA"],
    }


@pytest.mark.timeout(600)  # ten models, five times
@pytest.mark.parametrize(
    ("wins", "kinds"),
    [
        *(("everywhere", [kind]) for kind in cells(0, won=True)),
        ("early", list(cells(0, won=True))),
        ("late", list(cells(0, won=True))),
    ],
)
def test_tables_that_show_little_are_evaluated_all_the_same(table, wins, kinds):
    chosen = {"everywhere": range(120), "early": range(55), "late": range(100, 120)}[wins]
    outcome = [i in chosen and i % 3 == 0 for i in range(120)]
    rows = [
        [i, "won" if won else "lost", *(cell for kind in kinds for cell in cells(i, won)[kind])]
        for i, won in enumerate(outcome)
    ]
    names = [f"{kind} {number}" for kind in kinds for number in (1, 2)]
    out = io.StringIO()
    path = table(["t", "y", *names], rows)
    call_command(
        "evaluate_lead_scoring", str(path), "--outcome=y", "--time=t", stdout=out, stderr=io.StringIO()
    )
    assert "| this pipeline |" in out.getvalue()
    assert "nan" not in out.getvalue()


def messy_rows(n):
    random = np.random.default_rng(4)
    for i in range(n):
        strength = random.normal()
        won = random.random() < 1 / (1 + np.exp(-strength + 1))
        yield [
            (date(2023, 1, 1) + timedelta(days=i // 3)).isoformat(),
            "Won" if won else "Lost",
            f"{strength:.3f}" if random.random() < 0.9 else "n/a",
            random.choice(["web", "fair", ""]),
            f"customer {i}",
            "constant",
            "",
            "x" * 300 if i % 2 else "ü",
            f"c-{i}" if won else "",
        ]


MODELS = [
    "this pipeline", "class prior", "rules", "logistic regression", "random forest", "plain boosting",
    "boosting, native categories", "Odoo naive Bayes", "Odoo naive Bayes, 8 bins",
    *baselines.installed(),
]  # fmt: skip
HEADER = ["created", "status", "strength", "source", "name", "same", "empty", "note", "contract"]


@pytest.mark.timeout(600)  # ten models, five times
def test_the_command_compares_the_pipeline_with_the_others_on_a_messy_table(table, tmp_path):
    out, err = io.StringIO(), io.StringIO()
    path, report = table(HEADER, messy_rows(400)), tmp_path / "report.html"
    call_command(
        "evaluate_lead_scoring", str(path), "--outcome=status", "--time=created", f"--report={report}",
        stdout=out, stderr=err,
    )  # fmt: skip
    printed, drawn = out.getvalue(), report.read_text()
    for name in MODELS:
        assert printed.count(f"| {name} |") == 2, "its medians, and its losses block by block"
        assert f"<td>{name}</td>" in drawn
    assert "| log loss | 1 | 2 | 3 | 4 | 5 | median | mean |" in printed
    assert drawn.count("<svg") == len(MODELS), "the losses, and a curve of each model but the prior"
    assert "http" not in drawn
    assert "left out: contract: whether it is filled alone predicts" in printed
    assert "left out: name: nearly every value is different" in printed
    assert "left out: same: the same for every lead" in printed


@pytest.mark.timeout(600)  # ten models, five times
def test_the_pipeline_is_near_the_best_on_a_simple_table(table):
    out = io.StringIO()
    path = table(HEADER[:4], [row[:4] for row in messy_rows(3_000)])
    call_command(
        "evaluate_lead_scoring", str(path), "--outcome=status", "--time=created", "--json", stdout=out
    )
    medians = json.loads(out.getvalue())["medians"]
    ours = medians.pop("this pipeline")
    others = ("logistic regression", "random forest", "plain boosting", "Odoo naive Bayes")
    assert ours["log_loss"] <= min(medians[name]["log_loss"] for name in others) * 1.005
    assert ours["log_loss"] < medians["class prior"]["log_loss"] * 0.95


def test_a_table_that_cannot_be_evaluated_is_an_error_in_words(table):
    path = table(["t", "y"], [[i, "won"] for i in range(60)])
    with pytest.raises(CommandError, match="no two sides"):
        call_command("evaluate_lead_scoring", str(path), outcome="y", time="t")
