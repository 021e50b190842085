from datetime import timedelta

import pytest

from backend.env import ConfigurationError, Env, load_dotenv


def read(reader, text, *args, **kwargs):
    return getattr(Env({"NAME": text}), reader)("NAME", *args, **kwargs)


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        ("text", " a b ", "a b"),
        ("flag", "Yes", True),
        ("flag", "1", True),
        ("flag", "OFF", False),
        ("flag", "false", False),
        ("integer", "-12", -12),
        ("number", "0.25", 0.25),
        ("words", " a, ,b ,", ["a", "b"]),
        ("pairs", "b=2, a = x=y ,", {"b": "2", "a": "x=y"}),
        ("integers", "443, 8443,", [443, 8443]),
        ("duration", "90", timedelta(seconds=90)),
        ("duration", "250ms", timedelta(milliseconds=250)),
        ("duration", "10 m", timedelta(minutes=10)),
        ("duration", "12h", timedelta(hours=12)),
        ("duration", "7D", timedelta(days=7)),
        ("rate", "100", "100/hour"),
        ("time_zone", " Europe/Berlin ", "Europe/Berlin"),
        ("rate", "1200 / Minute", "1200/minute"),
    ],
)
def test_a_reader_turns_text_into_its_type(reader, text, value):
    assert read(reader, text) == value


@pytest.mark.parametrize(
    ("reader", "text", "form"),
    [
        ("flag", "maybe", "one of 1, true, yes, on, 0, false, no, off"),
        ("integer", "1.5", "a whole number"),
        ("pairs", "a=1,b", "pairs like name=value separated by commas"),
        ("pairs", "a=1,a=2", "pairs like name=value separated by commas"),
        ("integers", "443,https", "whole numbers, separated by commas"),
        ("number", "nan", "a number"),
        ("number", "inf", "a number"),
        ("number", "one", "a number"),
        ("duration", "5 weeks", "a length of time such as 30s, 10m, 12h or 7d"),
        ("duration", "-5s", "a length of time such as 30s, 10m, 12h or 7d"),
        ("time_zone", "Europe/Bonn", "an IANA time zone such as Europe/Berlin"),
        ("time_zone", "../etc/passwd", "an IANA time zone such as Europe/Berlin"),
        ("rate", "0/hour", "a rate such as 100/hour, 1200/minute or 20/second"),
        ("rate", "10/week", "a rate such as 100/hour, 1200/minute or 20/second"),
    ],
)
def test_a_wrong_value_is_answered_with_the_name_and_the_form_expected(reader, text, form):
    with pytest.raises(ConfigurationError) as problem:
        read(reader, text)
    assert str(problem.value) == f"NAME is not understood: {form} is expected."


@pytest.mark.parametrize(
    ("bounds", "form"),
    [
        ({"minimum": 1, "maximum": 9}, "a whole number from 1 to 9"),
        ({"minimum": 11}, "a whole number of at least 11"),
        ({"maximum": 9}, "a whole number of at most 9"),
    ],
)
def test_a_number_out_of_bounds_is_answered_with_the_bounds(bounds, form):
    with pytest.raises(ConfigurationError, match=f"NAME is not understood: {form} is expected"):
        read("integer", "10", **bounds)


@pytest.mark.parametrize("text", ["redis://", "http://host", "redis://host:port", "host:6379"])
def test_a_url_needs_a_known_scheme_and_a_host_and_is_never_repeated(text):
    with pytest.raises(ConfigurationError) as problem:
        read("url", text, ["redis", "rediss"])
    assert (
        str(problem.value) == "NAME is not understood: a URL like redis://host or rediss://host is expected."
    )


def test_a_choice_is_made_in_any_case_and_a_wrong_one_names_the_choices():
    assert read("choice", "Production", ["development", "production"]) == "production"
    with pytest.raises(
        ConfigurationError, match="NAME is not understood: one of development, production is expected"
    ):
        read("choice", "staging", ["development", "production"])


def test_an_empty_value_counts_as_unset():
    env = Env({"NAME": "  "})
    assert not env.is_set("NAME")
    assert env.integer("NAME", 7) == 7


def test_a_required_variable_is_missed_by_name():
    with pytest.raises(ConfigurationError, match=r"^OTHER must be set: a whole number is expected\.$"):
        Env({}).integer("OTHER")


def test_a_dotenv_file_fills_in_what_the_environment_leaves_open(tmp_path):
    (tmp_path / ".env").write_text("# comment\nONE=from file\nTWO='from file'\nEMPTY\n")
    environ = {"ONE": "from environment"}
    load_dotenv(tmp_path / ".env", environ)
    assert environ == {"ONE": "from environment", "TWO": "from file"}


def test_without_a_dotenv_file_nothing_changes(tmp_path):
    environ = {}
    load_dotenv(tmp_path / ".env", environ)
    assert environ == {}


def test_a_secret_may_be_kept_in_a_file(tmp_path):
    (tmp_path / "secret").write_text("from file\n")
    environ = {"SECRET_FILE": str(tmp_path / "secret")}
    assert Env(environ).is_set("SECRET")
    assert Env(environ).text("SECRET") == "from file"
    assert Env(environ | {"SECRET": "given"}).text("SECRET") == "given"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    missing = tmp_path / "none"
    with pytest.raises(
        ConfigurationError, match=f"^SECRET_FILE names {missing}, which cannot be read: .*No such"
    ):
        Env({"SECRET_FILE": str(missing)}).text("SECRET", "default")


def test_a_pattern_may_hold_the_known_fields_and_no_others():
    assert read("pattern", "{base}/#/{id}", ["base", "id"]) == "{base}/#/{id}"
    for wrong in ("{base}/{slug}", "{}", "{id", "{id.x}"):
        with pytest.raises(ConfigurationError, match=r"NAME is not understood: a text with \{base\}, \{id\}"):
            read("pattern", wrong, ["base", "id"])
