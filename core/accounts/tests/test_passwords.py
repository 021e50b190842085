"""Passwords by mail, and those that will not do."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.password_validation import validate_password
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.accounts import limits, password_mails
from core.accounts.models import PasswordMail, Session, User
from core.accounts.password_mails import LinkRefusedError
from core.accounts.tests.conftest import PASSWORD
from core.changes.models import Change

pytestmark = pytest.mark.django_db
RESET, BY_LINK = "/api/auth/password_reset/", "/api/auth/password_by_link/"
NEW = "a quite different one"


@pytest.fixture(autouse=True)
def outbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []


def sent_token():
    """The token in the only mail that was sent since it was asked for last."""
    password_mails.send_due()
    [message] = mail.outbox
    mail.outbox.clear()
    return re.search(r"#token=(\S+)", message.body)[1]


def set_by(client, token, password=NEW):
    return client.post(BY_LINK, {"token": token, "new_password": password})


def refused(response, field="token"):
    assert response.status_code == 400, response.content
    assert response.json()["errors"][0]["field"] == field


def test_a_link_is_sent_and_sets_a_password_once(rep, anonymous, log_in, bearing):
    before = bearing(log_in(rep)["access"])
    User.objects.filter(pk=rep.pk).update(last_login=None)
    assert anonymous.post(RESET, {"email": rep.email.upper()}).status_code == 202
    password_mails.send_due()
    assert (mail.outbox[0].to, mail.outbox[0].subject) == ([rep.email], "A new password for CRM")
    assert rep.username in mail.outbox[0].body
    token = sent_token()
    assert set_by(anonymous, token).status_code == 204
    assert before.get("/api/auth/me/").status_code == 401
    assert Session.objects.get().ended_because == "password_changed"
    assert log_in(rep, NEW)["user"]["id"] == rep.pk
    refused(set_by(anonymous, token, "yet another of mine"))
    rep.refresh_from_db()
    assert rep.check_password(NEW)


def test_the_answer_and_the_work_are_the_same_for_addresses_that_nobody_has(rep, anonymous):
    answers, statements = [], []
    for address in (rep.email, "nobody@crm.example"):
        with CaptureQueriesContext(connection) as queries:
            response = anonymous.post(RESET, {"email": address})
        answers.append((response.status_code, response.content, dict(response.items()).keys()))
        statements.append([re.sub(r"'[^']*'|\d+", "?", q["sql"]) for q in queries])
    assert answers[0] == answers[1]
    assert statements[0] == statements[1]
    password_mails.send_due()
    assert [message.to for message in mail.outbox] == [[rep.email]]
    assert PasswordMail.objects.count() == 0


def test_nothing_is_sent_to_who_was_deactivated(make_user, anonymous):
    gone = make_user(is_active=False)
    anonymous.post(RESET, {"email": gone.email})
    password_mails.send_due()
    assert mail.outbox == []


def test_asking_is_limited_by_account_and_address_and_shows_nothing(rep, anonymous):
    for address in (rep.email, "nobody@crm.example"):
        limits._client().flushdb()
        statuses = [anonymous.post(RESET, {"email": address}).status_code for _ in range(4)]
        assert statuses == [202] * 3 + [429]
    assert PasswordMail.objects.count() == 6


def test_a_link_runs_out(rep, anonymous):
    anonymous.post(RESET, {"email": rep.email})
    token = sent_token()
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1, minutes=1)):
        refused(set_by(anonymous, token))
    rep.refresh_from_db()
    assert rep.check_password(PASSWORD)


@pytest.mark.parametrize(
    "change",
    [{"email": "else@crm.example"}, {"last_login": datetime(2026, 1, 1, tzinfo=UTC)}, {"is_active": False}],
)
def test_a_link_is_for_the_user_as_they_were(rep, anonymous, change):
    anonymous.post(RESET, {"email": rep.email})
    token = sent_token()
    User.objects.filter(pk=rep.pk).update(**change)
    refused(set_by(anonymous, token))
    rep.refresh_from_db()
    assert rep.check_password(PASSWORD)


def test_of_two_links_the_second_ends_with_the_use_of_the_first(rep, anonymous):
    tokens = []
    for _ in range(2):
        anonymous.post(RESET, {"email": rep.email})
        tokens.append(sent_token())
    assert set_by(anonymous, tokens[1]).status_code == 204
    refused(set_by(anonymous, tokens[0]))


@pytest.mark.parametrize("token", ["", "x", "x" * 900, "eyJ.x:y:z", "[1]:1:1", "\u0000"])
def test_what_is_no_link_is_refused(anonymous, token):
    refused(set_by(anonymous, token))


def test_a_link_of_one_kind_is_not_of_another_kinds_age(rep, anonymous):
    reset = password_mails.link_token(rep, "reset")
    invitation = password_mails.link_token(rep, "invitation")
    with time_machine.travel(datetime.now(UTC) + timedelta(days=6)):
        refused(set_by(anonymous, reset))
        assert set_by(anonymous, invitation).status_code == 204


def test_a_password_that_will_not_do_leaves_the_link(rep, anonymous):
    anonymous.post(RESET, {"email": rep.email})
    token = sent_token()
    refused(set_by(anonymous, token, "short"), "new_password")
    refused(set_by(anonymous, token, "passwordpassword"), "new_password")
    assert set_by(anonymous, token).status_code == 204


def test_an_invitation_lets_a_new_user_choose_a_password(admin, api, rep, anonymous, log_in):
    made = admin.post("/api/v1/users/", {"username": "eve", "email": "eve@crm.example"}).json()["id"]
    url = f"/api/v1/users/{made}/invite/"
    assert api(rep).post(url).status_code == 403
    assert PasswordMail.objects.count() == 0
    assert admin.post(url).status_code == 202
    password_mails.send_due()
    assert "your user name is eve" in mail.outbox[0].body
    assert set_by(anonymous, sent_token()).status_code == 204
    assert log_in(User.objects.get(pk=made), NEW)["user"]["id"] == made


def test_who_has_no_address_is_not_invited(admin, make_user):
    for fields in ({"email": ""}, {"is_active": False}):
        user = make_user()
        User.objects.filter(pk=user.pk).update(**fields)
        assert admin.post(f"/api/v1/users/{user.pk}/invite/").status_code == 409
    assert PasswordMail.objects.count() == 0


def test_a_mail_that_is_not_taken_is_tried_again_and_at_last_given_up(rep, settings, anonymous):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # nobody listens
    anonymous.post(RESET, {"email": rep.email})
    for attempt in range(1, 6):
        assert password_mails.send_due() == 1
        assert password_mails.send_due() == 0  # leased
        assert list(PasswordMail.objects.values_list("attempts", flat=True)) == (
            [attempt] if attempt < 5 else []
        )
        PasswordMail.objects.update(due_at="2026-01-01T00:00:00Z")


def test_no_table_holds_the_link(rep, anonymous):
    anonymous.post(RESET, {"email": rep.email})
    kept = str(list(PasswordMail.objects.values()))
    token = sent_token()
    assert token not in kept
    assert set_by(anonymous, token).status_code == 204
    assert token not in str(list(Change.objects.values("changes")))


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_of_one_link_at_once_one_wins(make_user, at_once):
    from django.db import transaction

    user = make_user()
    token = password_mails.link_token(user, "reset")

    def use(number):
        def work():
            try:
                with transaction.atomic():
                    password_mails.set_password(token, f"{NEW} {number}", lambda password, user: None)
            except LinkRefusedError:
                return False
            return True

        return work

    assert sum(at_once(*map(use, range(6)))) == 1


def test_the_page_holds_nothing_and_is_kept_by_nobody(client):
    page = client.get("/password/")
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    assert page["Referrer-Policy"] == "no-referrer"
    assert "/api/auth/password_by_link/" in page.content.decode()


# -- what will not do ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        " " * 12, "aaaaaaaaaaaa", "abababababab", "123456789012", "210987654321", "abcdefghijklm",
        "qwertyuiopas", "passwordpassword", "Password2024!", "2024-password!", "dragon dragon",
        "a b c d e f", "      x     y     ", "qwertyuiop qwertyuiop", "short",
    ],
)  # fmt: skip
def test_a_password_that_is_plain_is_refused(password):
    with pytest.raises(ValidationError):
        validate_password(password)


def test_one_like_its_users_names_is_refused():
    with pytest.raises(ValidationError):
        validate_password("grace.hopper1", User(username="grace.hopper", first_name="Grace"))


@pytest.mark.parametrize(
    "password", [PASSWORD, NEW, "kV9#mfPq27!zR", "tree river lamp nine", "passwords are dull"]
)
def test_one_that_is_not_is_taken(password):
    validate_password(password)
