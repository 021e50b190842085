import sys
from pathlib import Path

from backend.development.lint import Check, offline, production, report, run, schema_differences, shortened


def python(code: str, **environ: str) -> Check:
    return Check(code, [sys.executable, "-c", code], environ)


def test_a_check_passes_by_its_exit_code_and_sees_its_environment():
    outcome = run(python("import os; print(os.environ['COLOUR'])", COLOUR="green"))
    assert (outcome.passed, outcome.output) == (True, "green\n")


def test_one_failure_fails_the_whole_and_shows_its_output_only(capsys):
    assert report([python("print('fine')"), python("import sys; print('broken'); sys.exit(3)")]) == 1
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("ok ")
    assert second.startswith("FAILED ")
    assert "broken" in rest
    assert "fine" not in rest


def test_all_green_is_the_exit_code_of_success(capsys):
    assert report([python("print('fine')")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_an_unsafe_production_setting_fails_the_deployment_check(tmp_path):
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level=WARNING"]
    careful = production(str(tmp_path))
    assert run(Check("careful", command, careful)).passed
    careless = run(Check("careless", command, careful | {"ALLOWED_HOSTS": "*"}))
    assert not careless.passed
    assert "ALLOWED_HOSTS must not be *" in careless.output


def test_a_model_changed_without_a_migration_fails_and_no_server_is_started(tmp_path):
    code = (
        "import sys, django, backend.launch; django.setup();"
        "from core.models import Team; Team._meta.get_field('name').max_length = 7;"
        "from django.core.management import call_command;"
        "call_command('makemigrations', check=True, dry_run=True)"
    )
    environ = offline(str(tmp_path)) | {"DJANGO_SETTINGS_MODULE": "backend.settings"}
    outcome = run(Check("changed", [sys.executable, "-c", code], environ))
    assert not outcome.passed
    assert "Alter field name on team" in outcome.output
    assert not (tmp_path / "postgres").exists()


def test_a_schema_file_that_is_not_the_codes_is_distinguished(tmp_path):
    stale = tmp_path / "openapi.yaml"
    stale.write_text("openapi: 3.0.3\ninfo: {title: Another, version: '0'}\npaths: {}\n")
    assert "title: Another" in schema_differences(Path(stale))


def test_a_long_output_is_cut_and_says_so():
    assert shortened("a\nb\n") == "a\nb"
    lines = shortened("x\n" * 100).splitlines()
    assert lines == ["x"] * 80 + ["... and 20 lines more"]
