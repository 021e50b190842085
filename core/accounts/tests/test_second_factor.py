"""A second factor: codes of an app, recovery codes, and roles that may do nothing without."""

import base64
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django_otp.oath import totp

from core.accounts import keys, limits, second_factor
from core.accounts.models import RecoveryCode, SecondFactor, Session, User
from core.accounts.tests.conftest import PASSWORD
from core.changes.models import Change
from core.outbound import sealing

pytestmark = pytest.mark.django_db
URL = "/api/auth/second_factor/"
PROOF = {"current_password": PASSWORD}


def code_of(secret, drift=0):
    """What an app shows for a secret, `drift` steps from now."""
    return f"{totp(base64.b32decode(secret), drift=drift):06}"


@pytest.fixture
def set_up(log_in, bearing):
    """set_up(user) → the secret, the recovery codes and the client it was done with."""

    def run(user):
        client = bearing(log_in(user)["access"])
        secret = client.post(URL, PROOF).json()["secret"]
        answer = client.post(f"{URL}confirm/", {"code": code_of(secret, drift=-1)})
        assert answer.status_code == 200, answer.content
        return secret, answer.json()["recovery_codes"], client

    return run


def sign_in(client, user, **more):
    return client.post("/api/auth/login/", {"username": user.username, "password": PASSWORD, **more})


def refused(response, status, kind):
    assert response.status_code == status, response.content
    assert response.json()["type"] == f"/problems/{kind}"


def test_it_counts_once_a_code_was_confirmed(rep, log_in, bearing, anonymous):
    client = bearing(log_in(rep)["access"])
    made = client.post(URL, PROOF)
    secret = made.json()["secret"]
    link = urlsplit(made.json()["address"])
    assert (link.scheme, link.netloc) == ("otpauth", "totp")
    assert parse_qs(link.query)["secret"] == [secret]
    assert client.get(URL).json()["enabled"] is False
    assert sign_in(anonymous, rep).status_code == 200
    refused(client.post(f"{URL}confirm/", {"code": "000000"}), 400, "invalid")
    assert client.get(URL).json()["enabled"] is False
    assert client.post(f"{URL}confirm/", {"code": code_of(secret)}).status_code == 200
    reported = client.get(URL).json()
    assert (reported["enabled"], reported["required_by_role"], reported["recovery_codes_left"]) == (
        True,
        False,
        10,
    )


def test_it_takes_the_password_to_begin(rep, log_in, bearing):
    client = bearing(log_in(rep)["access"])
    assert client.post(URL, {"current_password": "wrong"}).status_code == 400
    assert not SecondFactor.objects.exists()


def test_signing_in_takes_a_code_once_it_is_on(rep, set_up, anonymous):
    secret, _, _ = set_up(rep)
    refused(sign_in(anonymous, rep), 401, "second-factor-needed")
    refused(sign_in(anonymous, rep, code="123456"), 401, "second-factor-wrong")
    refused(sign_in(anonymous, rep, code="nonsense"), 401, "second-factor-wrong")
    answer = sign_in(anonymous, rep, code=code_of(secret))
    assert answer.status_code == 200
    assert Session.objects.get(pk=answer.json()["session"]).second_factor is True


def test_a_wrong_password_shows_nothing_of_it(rep, set_up, anonymous):
    set_up(rep)
    body = {"username": rep.username, "password": "wrong", "code": "123456"}
    refused(anonymous.post("/api/auth/login/", body), 401, "no-such-sign-in")


def test_a_code_works_once(rep, set_up, anonymous):
    secret, _, _ = set_up(rep)
    code = code_of(secret)
    assert sign_in(anonymous, rep, code=code).status_code == 200
    refused(sign_in(anonymous, rep, code=code), 401, "second-factor-wrong")
    # The one by which it was set up is used as well.
    refused(sign_in(anonymous, rep, code=code_of(secret, drift=-1)), 401, "second-factor-wrong")


def test_a_recovery_code_works_once_in_its_place(rep, set_up, anonymous):
    _, codes, client = set_up(rep)
    assert len(set(codes)) == 10
    assert sign_in(anonymous, rep, code=codes[0].upper()).status_code == 200
    refused(sign_in(anonymous, rep, code=codes[0]), 401, "second-factor-wrong")
    assert client.get(URL).json()["recovery_codes_left"] == 9


def test_wrong_codes_count_like_wrong_passwords(rep, set_up, anonymous):
    secret, _, _ = set_up(rep)
    statuses = [sign_in(anonymous, rep, code="000000").status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert sign_in(anonymous, rep, code=code_of(secret)).status_code == 429


def test_setting_it_up_ends_the_other_sessions(rep, log_in, bearing, set_up):
    before = bearing(log_in(rep)["access"])
    _, _, client = set_up(rep)
    assert before.get("/api/auth/me/").status_code == 401
    assert client.get("/api/auth/me/").status_code == 200
    assert set(Session.objects.exclude(ended_at=None).values_list("ended_because", flat=True)) == {
        "second_factor"
    }


def test_new_recovery_codes_and_switching_off_take_both_proofs(rep, set_up, anonymous):
    _, codes, client = set_up(rep)
    for path in ("recovery_codes/", "end/"):
        assert client.post(f"{URL}{path}", PROOF).status_code == 400
        assert client.post(f"{URL}{path}", PROOF | {"code": "000000"}).status_code == 400
        assert client.post(f"{URL}{path}", {"current_password": "x", "code": codes[1]}).status_code == 400
    assert client.get(URL).json()["recovery_codes_left"] == 10
    limits._client().flushdb()
    renewed = client.post(f"{URL}recovery_codes/", PROOF | {"code": codes[0]}).json()["recovery_codes"]
    assert not set(renewed) & set(codes)
    refused(sign_in(anonymous, rep, code=codes[1]), 401, "second-factor-wrong")
    assert client.post(f"{URL}end/", PROOF | {"code": renewed[0]}).status_code == 204
    assert sign_in(anonymous, rep).status_code == 200
    assert not RecoveryCode.objects.exists()


def test_a_second_one_takes_the_end_of_the_first(rep, set_up):
    _, _, client = set_up(rep)
    refused(client.post(URL, PROOF), 409, "second-factor-on")


@pytest.fixture
def required(settings):
    settings.SECOND_FACTOR_ROLES = ["admin", "manager"]


def test_a_role_that_needs_one_does_nothing_without(required, make_user, log_in, bearing, anonymous):
    boss = make_user("admin")
    client = bearing(log_in(boss)["access"])
    for path in ("/api/v1/leads/", "/api/auth/sessions/", "/api/auth/api-keys/", "/api/v1/users/"):
        refused(client.get(path), 403, "second-factor-required")
    refused(client.post("/api/v1/leads/", {"first_name": "Ada"}), 403, "second-factor-required")
    assert not Change.objects.filter(entity="lead").exists()
    assert client.get("/api/auth/me/").status_code == 200
    assert client.get(URL).json()["required_by_role"] is True
    secret = client.post(URL, PROOF).json()["secret"]
    assert client.post(f"{URL}confirm/", {"code": code_of(secret)}).status_code == 200
    assert client.get("/api/v1/leads/").status_code == 200
    refused(client.post(f"{URL}end/", PROOF | {"code": "1"}), 409, "second-factor-required")


def test_other_roles_are_not_asked(required, rep, log_in, bearing):
    assert bearing(log_in(rep)["access"]).get("/api/v1/leads/").status_code == 200


def test_the_admin_site_takes_a_code_too(make_user, set_up):
    boss = make_user("admin", is_staff=True)
    secret, _, _ = set_up(boss)
    form = {"username": boss.username, "password": PASSWORD}
    browser = Client()
    for code in ("", "000000"):
        page = browser.post("/admin/login/", form | {"code": code})
        assert page.status_code == 200
        assert "This code is not right" in page.content.decode()
    assert browser.get("/admin/core/user/").status_code == 302
    assert browser.post("/admin/login/", form | {"code": code_of(secret)}).status_code == 302
    assert browser.get("/admin/core/user/").status_code == 200
    assert Session.objects.get(kind="admin", ended_at=None).second_factor is True


def test_the_sites_form_has_a_field_for_it(client):
    page = client.get("/admin/login/").content.decode()
    assert 'name="code"' in page
    assert 'form="login-form"' in page


def test_nobody_gets_in_to_the_site_who_needs_one_and_has_none(required, make_user):
    boss, browser = make_user("admin", is_staff=True), Client()
    page = browser.post("/admin/login/", {"username": boss.username, "password": PASSWORD})
    assert "Your role needs a second factor" in page.content.decode()
    assert browser.get("/admin/core/user/").status_code == 302
    browser.force_login(boss)  # a cookie from before the role needed one
    assert browser.get("/admin/core/user/").status_code == 302


def test_an_administrator_takes_away_a_lost_one(rep, set_up, admin, api, anonymous):
    _, _, client = set_up(rep)
    url = f"/api/v1/users/{rep.pk}/reset_second_factor/"
    assert api(rep).post(url).status_code == 403
    assert second_factor.is_on(rep)
    assert admin.post(url).status_code == 204
    assert client.get("/api/auth/me/").status_code == 401
    assert sign_in(anonymous, rep).status_code == 200


def test_no_key_touches_it(rep, set_up, bearing):
    set_up(rep)
    client = bearing(keys.make(rep, "x", ["write"])[1])
    assert client.get(URL).status_code == 403
    assert client.post(f"{URL}end/", PROOF | {"code": "1"}).status_code == 403
    assert second_factor.is_on(rep)


def test_neither_secret_nor_codes_are_kept_in_clear(rep, set_up):
    secret, codes, _ = set_up(rep)
    row = SecondFactor.objects.get()
    assert sealing.is_sealed(row.secret)
    assert sealing.unseal(row.secret) == base64.b32decode(secret).hex()
    kept = str(list(Change.objects.values_list("changes"))) + str(
        list(RecoveryCode.objects.values_list("digest"))
    )
    assert secret not in kept
    assert not any(code in kept for code in codes)
    assert "sealed:" not in kept


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_of_one_code_at_once_one_wins(make_user, at_once, anonymous):
    user = User.objects.get(pk=make_user().pk)
    secret = second_factor.begin(user, None)
    SecondFactor.objects.update(confirmed_at="2026-01-01T00:00:00Z")
    while time.time() % 30 > 25:  # all of them within one step
        time.sleep(0.5)
    code = code_of(secret)

    def use():
        from django.db import transaction

        try:
            with transaction.atomic():
                second_factor.prove(user, code)
        except second_factor.CodeRefusedError:
            return False
        return True

    assert sum(at_once(*[use] * 8)) == 1
