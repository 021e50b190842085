"""Passkeys: made, named, removed; a sign-in of their own and a second proof; and what is refused."""

import json
import re

import pytest
from django.core import mail
from django.test import Client

from core.accounts import keys, limits, passkeys
from core.accounts.models import Passkey, RecoveryCode, Session, User
from core.accounts.origin import Origin
from core.accounts.password_mails import send_due
from core.accounts.sessions import begin
from core.accounts.tests.authenticator import Authenticator
from core.accounts.tests.conftest import PASSWORD
from core.accounts.tests.test_second_factor import code_of
from core.changes.models import Change

pytestmark = pytest.mark.django_db
URL = "/api/auth/passkeys/"
SIGN_IN = f"{URL}sign_in/"
PROOF = {"current_password": PASSWORD}


@pytest.fixture(autouse=True)
def domain(settings):
    settings.PASSKEY_DOMAIN, settings.PASSKEY_ORIGINS = "localhost", ["http://localhost:8000"]


@pytest.fixture
def many_failures(settings):
    settings.CRM = settings.CRM | {
        "SIGN_IN_FAILURES": dict.fromkeys(("account_and_address", "address", "account"), "1000/hour")
    }


@pytest.fixture
def register(log_in, bearing):
    """register(user, client) → an authenticator with a passkey of the user's, the client, the answer."""

    def run(user, client=None, **more):
        client, device = client or bearing(log_in(user)["access"]), Authenticator()
        options = client.post(f"{URL}registration_options/", PROOF | more).json()["publicKey"]
        made = client.post(URL, {"name": "My key", "credential": device.create(options)})
        assert made.status_code == 201, made.content
        return device, client, made.json()

    return run


def asked(client, **body):
    answer = client.post(f"{SIGN_IN}options/", body)
    assert answer.status_code == 200, answer.content
    return answer.json()["publicKey"]


def refused(response, status, kind):
    assert response.status_code == status, response.content
    assert response.json()["type"] == f"/problems/{kind}"


def test_a_passkey_is_made_named_and_signs_in_alone(rep, register, anonymous):
    before = Session.objects.count()
    device, client, made = register(rep)
    assert len(made["recovery_codes"]) == 10
    assert send_due() == 1
    [word] = mail.outbox
    assert (word.to, word.subject) == ([rep.email], "A new passkey at CRM")
    url = f"{URL}{made['passkey']['id']}/"
    assert client.patch(url, {"name": "Blue key"}).json()["name"] == "Blue key"
    state = client.get("/api/auth/second_factor/").json()
    assert (state["enabled"], state["app"], state["passkeys"], state["recovery_codes_left"]) == (
        *(True, False, 1),
        10,
    )
    for options in (asked(anonymous), asked(anonymous, username=rep.email.upper(), password=PASSWORD)):
        assert options["userVerification"] == "required"
        assert not options.get("allowCredentials")
        answer = anonymous.post(SIGN_IN, {"credential": device.get(options)})
        assert answer.status_code == 200, answer.content
        assert answer.json()["user"]["id"] == rep.pk
        assert Session.objects.get(pk=answer.json()["session"]).second_factor is True
    assert Session.objects.count() == before + 3
    [shown] = client.get(URL).json()["results"]
    assert (shown["name"], shown["backed_up"]) == ("Blue key", False)
    assert shown["last_used_at"] is not None
    kept = Change.objects.filter(entity="passkey").order_by("id").values_list("kind", "actor_id", "source")
    assert list(kept) == [("created", rep.pk, "api"), ("updated", rep.pk, "api")]
    assert "credential" not in str(list(Change.objects.values_list("changes")))


def test_it_takes_the_password_and_ends_other_sessions(rep, register, log_in, bearing):
    other = bearing(log_in(rep)["access"])
    client = bearing(log_in(rep)["access"])
    for proof in ({}, {"current_password": "wrong"}):
        assert client.post(f"{URL}registration_options/", proof).status_code == 400
    register(rep, client)
    assert other.get("/api/auth/me/").status_code == 401
    assert client.get("/api/auth/me/").status_code == 200


def test_beside_a_password_it_is_the_second_proof(rep, register, anonymous):
    device, client, made = register(rep)
    body = {"username": rep.username, "password": PASSWORD}
    refused(anonymous.post("/api/auth/login/", body), 401, "second-factor-needed")
    options = asked(anonymous, purpose="second_factor", username=rep.username, password=PASSWORD)
    assert [one["id"] for one in options["allowCredentials"]] == [device.get(options)["id"]]
    proof = device.get(options, verified=False)  # a security key without a PIN
    answer = anonymous.post("/api/auth/login/", body | {"passkey": proof})
    assert answer.status_code == 200, answer.content
    assert Session.objects.get(pk=answer.json()["session"]).second_factor is True
    refused(anonymous.post("/api/auth/login/", body | {"passkey": proof}), 401, "passkey-refused")
    # It is not enough by itself, and a recovery code stands in for it.
    alone = device.get(asked(anonymous), verified=False)
    refused(anonymous.post(SIGN_IN, {"credential": alone}), 401, "passkey-refused")
    code = made["recovery_codes"][0]
    assert anonymous.post("/api/auth/login/", body | {"code": code}).status_code == 200
    # And it stands in for a code where new ones are asked for.
    options = asked(anonymous, purpose="second_factor")
    renewed = client.post("/api/auth/second_factor/recovery_codes/", PROOF | {"passkey": device.get(options)})
    assert len(renewed.json()["recovery_codes"]) == 10


def test_what_is_not_the_users_own_fresh_answer_is_refused(
    rep, make_user, register, anonymous, many_failures
):
    device, _, _ = register(rep)
    stranger = make_user("rep")
    of_stranger, _, _ = register(stranger)

    def says(credential, kind="passkey-refused"):
        refused(anonymous.post(SIGN_IN, {"credential": credential}), 401, kind)

    used = device.get(asked(anonymous))
    assert anonymous.post(SIGN_IN, {"credential": used}).status_code == 200
    says(used)  # again
    says(device.get(asked(anonymous), origin="https://evil.example"))
    says(device.get(asked(anonymous), cross_origin=True))
    says(device.get(asked(anonymous) | {"rpId": "evil.example"}))
    says(device.get(asked(anonymous) | {"challenge": "A" * 43}))  # never given out
    says(device.get(asked(anonymous, purpose="second_factor")))  # for something else
    says(Authenticator().get(asked(anonymous)))  # nobody's
    forged = device.get(asked(anonymous))
    forged["response"]["signature"] = of_stranger.get(asked(anonymous))["response"]["signature"]
    says(forged)
    renamed = of_stranger.get(asked(anonymous))
    says(renamed | {"id": forged["id"], "rawId": forged["id"]})
    for nonsense in (
        {},
        {"id": "A" * 1365},
        {"id": 7},
        {"id": "x", "rawId": "x", "response": []},
        {"rawId": "\x00"},
    ):
        says(nonsense)
    assert anonymous.post(SIGN_IN, {"credential": "text"}).status_code == 400
    half = anonymous.post(SIGN_IN, '{"credential": {"id": "\\ud800"}}', content_type="application/json")
    assert half.status_code in (400, 401)
    # Of a password's user another's passkey is no second proof.
    options = asked(anonymous, purpose="second_factor", username=stranger.username, password=PASSWORD)
    proof = of_stranger.get(options)
    body = {"username": rep.username, "password": PASSWORD, "passkey": proof}
    refused(anonymous.post("/api/auth/login/", body), 401, "passkey-refused")


def test_a_counter_that_went_back_is_refused_and_named(rep, register, anonymous, caplog):
    device, _, _ = register(rep)
    device.counter = 7
    assert anonymous.post(SIGN_IN, {"credential": device.get(asked(anonymous))}).status_code == 200
    device.counter = 3
    answer = anonymous.post(SIGN_IN, {"credential": device.get(asked(anonymous))})
    refused(answer, 401, "passkey-counter")
    assert "it may have been copied" in caplog.text
    assert Passkey.objects.get().sign_count == 8
    # Who does not count says 0 always.
    Passkey.objects.update(sign_count=0)
    device.counter = 0
    for _ in range(2):
        answer = anonymous.post(SIGN_IN, {"credential": device.get(asked(anonymous), count=False)})
        assert answer.status_code == 200


def test_nobody_learns_who_has_one(rep, make_user, register, anonymous):
    register(rep)
    url, wrong = f"{SIGN_IN}options/", []
    for name in (rep.username, make_user("rep").username, "nobody", "nobody@example.com"):
        assert "allowCredentials" not in str(asked(anonymous, username=name)).replace("None", "")
        body = {"purpose": "second_factor", "username": name, "password": "wrong"}
        wrong.append(anonymous.post(url, body))
        refused(wrong[-1], 401, "no-such-sign-in")
    assert len({str(one.json() | {"request_id": ""}) for one in wrong}) == 1
    body = {"purpose": "second_factor", "username": rep.username}
    statuses = [anonymous.post(url, body).status_code for _ in range(5)]
    assert statuses == [401] * 4 + [429], "they count like wrong passwords"


def test_failures_count_like_wrong_passwords(rep, register, anonymous):
    device, _, _ = register(rep)
    statuses = []
    for _ in range(6):
        wrong = device.get(asked(anonymous), origin="https://evil.example")
        statuses.append(anonymous.post(SIGN_IN, {"credential": wrong}).status_code)
    assert statuses == [401] * 5 + [429]
    body = {"username": rep.username, "password": PASSWORD}
    assert anonymous.post("/api/auth/login/", body).status_code == 429


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_of_one_answer_at_once_one_wins(make_user, register, anonymous, at_once):
    user = make_user("rep")
    device, _, _ = register(user)
    device.counter = 0
    Passkey.objects.update(sign_count=0)  # it is the challenge that holds, not the counter
    answer = device.get(asked(anonymous), count=False)

    def use():
        try:
            passkeys.prove(answer, passkeys.SIGN_IN)
        except passkeys.PasskeyRefusedError:
            return False
        return True

    assert sum(at_once(*[use] * 8)) == 1


def test_the_last_one_stays_where_the_role_needs_it(make_user, register, log_in, bearing, settings):
    settings.SECOND_FACTOR_ROLES = ["admin"]
    boss = make_user("admin")
    client = bearing(log_in(boss)["access"])
    refused(client.get("/api/v1/leads/"), 403, "second-factor-required")
    _, _, first = register(boss, client)
    assert client.get("/api/v1/leads/").status_code == 200
    url = f"{URL}{first['passkey']['id']}/remove/"
    codes = iter(first["recovery_codes"])
    refused(client.post(url, PROOF | {"code": next(codes)}), 409, "second-factor-required")
    # An app beside it may take its place, and leave it again; each time the password alone is not enough.
    assert (
        client.post("/api/auth/second_factor/", PROOF).json()["errors"][0]["code"] == "second_factor_needed"
    )
    begun = client.post("/api/auth/second_factor/", PROOF | {"code": next(codes)})
    confirm = {"code": code_of(begun.json()["secret"], drift=-1)}
    codes = iter(client.post("/api/auth/second_factor/confirm/", confirm).json()["recovery_codes"])
    assert client.post(url, {"current_password": "wrong", "code": next(codes)}).status_code == 400
    assert client.post(url, PROOF).json()["errors"][0]["code"] == "second_factor_needed"
    assert client.post(url, PROOF | {"code": "000000"}).json()["errors"][0]["field"] == "code"
    assert client.post(url, PROOF | {"code": next(codes)}).status_code == 204
    ended = "/api/auth/second_factor/end/"
    refused(client.post(ended, PROOF | {"code": next(codes)}), 409, "second-factor-required")
    assert client.post(f"{URL}registration_options/", PROOF).status_code == 400
    device, _, _ = register(boss, client, code=next(codes))
    assert client.post(ended, PROOF | {"code": next(codes)}).status_code == 204
    assert RecoveryCode.objects.filter(used_at=None).count() == 7
    settings.SECOND_FACTOR_ROLES = []
    last = client.get(URL).json()["results"][0]["id"]
    proof = device.get(asked(client, purpose="second_factor"))
    assert client.post(f"{URL}{last}/remove/", PROOF | {"passkey": proof}).status_code == 204
    assert not RecoveryCode.objects.exists()


def test_a_session_that_proved_one_factor_adds_none(rep, register, log_in, bearing, anonymous):
    device, client, made = register(rep)
    # As single sign-on begins one: the provider did not say how one signed in there.
    row = begin(rep, Origin("127.0.0.1", ""))
    half = bearing(row.access)
    options = client.post(f"{URL}registration_options/", PROOF | {"code": made["recovery_codes"][0]})
    body = {"name": "Mine", "credential": Authenticator().create(options.json()["publicKey"])}
    refused(half.post(URL, body), 409, "second-factor-needed")
    assert half.post(f"{URL}registration_options/", PROOF).status_code == 400
    assert half.post("/api/auth/second_factor/", PROOF).status_code == 400
    refused(half.post("/api/auth/second_factor/confirm/", {"code": "000000"}), 409, "second-factor-needed")
    assert Session.objects.get(pk=row.session.pk).second_factor is False
    # What it has proven then, it has.
    proof = device.get(asked(half, purpose="second_factor"))
    options = half.post(f"{URL}registration_options/", PROOF | {"passkey": proof}).json()["publicKey"]
    assert (
        half.post(URL, {"name": "Second", "credential": Authenticator().create(options)}).status_code == 201
    )
    assert Session.objects.get(pk=row.session.pk).second_factor is True
    assert sorted(Passkey.objects.values_list("name", flat=True)) == ["My key", "Second"]
    late = Authenticator().create(passkeys.registration_options(rep))
    User.objects.filter(pk=rep.pk).update(is_active=False)
    with pytest.raises(passkeys.PasskeyRefusedError):
        passkeys.register(rep, late, "Late", row.session)


def test_nobody_touches_another_users_and_no_key_any(rep, make_user, register, bearing, log_in):
    _, _, made = register(rep)
    other = bearing(log_in(make_user("rep"))["access"])
    url = f"{URL}{made['passkey']['id']}/"
    assert other.get(URL).json()["results"] == []
    assert other.patch(url, {"name": "Mine"}).status_code == 404
    assert other.post(f"{url}remove/", PROOF).status_code == 404
    key = bearing(keys.make(rep, "x", ["write"])[1])
    for answer in (key.get(URL), key.post(f"{URL}registration_options/", PROOF), key.post(f"{url}remove/")):
        assert answer.status_code == 403
    assert Passkey.objects.get().name == "My key"


def test_an_answer_registers_once_for_who_asked(rep, make_user, register, bearing, log_in):
    device, client, _ = register(rep)
    other = bearing(log_in(make_user("rep"))["access"])
    options = other.post(f"{URL}registration_options/", PROOF).json()["publicKey"]
    body = {"name": "Taken", "credential": Authenticator().create(options)}
    assert client.post(URL, body).json()["errors"][0]["code"] == "passkey_refused"
    assert other.post(URL, body).status_code == 400  # the challenge is used up
    options = other.post(f"{URL}registration_options/", PROOF).json()["publicKey"]
    body = {"name": "Taken", "credential": device.create(options)}
    assert "already" in other.post(URL, body).json()["errors"][0]["message"]
    options = other.post(f"{URL}registration_options/", PROOF).json()["publicKey"]
    wrong = Authenticator().create(options, origin="http://localhost:9000")
    assert other.post(URL, {"name": "Taken", "credential": wrong}).status_code == 400
    assert Passkey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_administrators_see_them_outside_of_a_transaction(make_user, api):
    rep = make_user("rep")
    Passkey.objects.create(user=rep, name="My key", credential_id="x", credential="x", user_handle="x")
    listed = api(make_user("admin")).get(f"/api/v1/users/{rep.pk}/passkeys/")
    assert (listed.status_code, [one["name"] for one in listed.json()]) == (200, ["My key"])


def test_administrators_see_and_remove_them(rep, register, admin, api, anonymous):
    device, client, made = register(rep)
    url = f"/api/v1/users/{rep.pk}/"
    assert api(rep).get(f"{url}passkeys/").status_code == 403
    assert [one["name"] for one in admin.get(f"{url}passkeys/").json()] == ["My key"]
    body = {"passkey": made["passkey"]["id"]}
    assert api(rep).post(f"{url}remove_passkey/", body).status_code == 403
    assert admin.post(f"{url}remove_passkey/", body | {"passkey": 0}).status_code == 400
    assert admin.post(f"{url}remove_passkey/", body).status_code == 204
    assert admin.post(f"{url}remove_passkey/", body).status_code == 404
    assert client.get("/api/auth/me/").status_code == 401
    refused(anonymous.post(SIGN_IN, {"credential": device.get(asked(anonymous))}), 401, "passkey-refused")
    assert not RecoveryCode.objects.exists()
    register(rep)
    assert admin.post(f"{url}reset_second_factor/").status_code == 204
    assert not Passkey.objects.exists()


def test_they_end_with_deactivation(rep, register, admin, anonymous):
    device, _, _ = register(rep)
    options = asked(anonymous)
    assert admin.delete(f"/api/v1/users/{rep.pk}/").status_code == 204
    assert not Passkey.objects.exists()
    refused(anonymous.post(SIGN_IN, {"credential": device.get(options)}), 401, "passkey-refused")
    User.objects.filter(pk=rep.pk).update(is_active=True)
    refused(anonymous.post(SIGN_IN, {"credential": device.get(asked(anonymous))}), 401, "passkey-refused")


def test_where_passwords_are_left_to_superusers_so_are_passkeys(rep, register, anonymous, settings):
    device, _, _ = register(rep)
    settings.PASSWORD_SIGN_IN = "superusers"
    refused(anonymous.post(SIGN_IN, {"credential": device.get(asked(anonymous))}), 401, "passkey-refused")
    User.objects.filter(pk=rep.pk).update(is_superuser=True, role="admin")
    assert anonymous.post(SIGN_IN, {"credential": device.get(asked(anonymous))}).status_code == 200


def test_who_has_no_password_signed_in_lately(rep, log_in, bearing):
    session = log_in(rep)
    client = bearing(session["access"])
    rows = User.objects.filter(pk=rep.pk)
    Session.objects.filter(pk=session["session"]).update(created_at="2026-01-01T00:00:00Z")
    # Set aside in SQL, so that no session ends with it.
    from core.accounts.sessions import ALL, sessions_kept

    with sessions_kept(ALL):
        rows.update(password="!none")
    refused(client.post(f"{URL}registration_options/", {}), 409, "sign-in-again")


def test_without_a_domain_there_are_none(anonymous, settings):
    settings.PASSKEY_DOMAIN = ""
    refused(anonymous.post(f"{SIGN_IN}options/", {}), 409, "passkeys-off")
    assert "data-passkey-login" not in anonymous.get("/admin/login/").content.decode()
    limits._client().flushdb()


def test_the_page_of_the_admin_site(make_user, register, many_failures):
    boss, browser, device = make_user("admin", is_staff=True), Client(), Authenticator()
    page = "/admin/security/"
    assert browser.get(page).status_code == 302
    browser.post("/admin/login/", {"username": boss.username, "password": PASSWORD})
    refusal = browser.post(page, {"do": "options", "current_password": "wrong"})
    assert (refusal.status_code, refusal.json()["detail"]) == (400, "This is not your password.")
    options = browser.post(page, {"do": "options"} | PROOF).json()["publicKey"]
    body = {"do": "add", "name": "Laptop", "credential": json.dumps(device.create(options))}
    made = browser.post(page, body)
    codes = re.findall(r"<li>([0-9a-f]{8}-[0-9a-f]{8})</li>", made.content.decode())
    assert len(set(codes)) == 10, made.content.decode()
    for nonsense in ("", "[]", "{", "[" * 5000):
        assert browser.post(page, body | {"credential": nonsense}).status_code == 302
        answer = browser.post("/admin/login/", {"passkey": nonsense, "username": "x"})
        assert answer.status_code in (200, 302)
    for url in ("/admin/login/", "/oauth/login"):
        for given in (" ", "{}", '{"id": "\\ud800"}'):
            answer = Client().post(url, {"passkey": given, "username": "", "password": ""})
            assert answer.status_code == 200
            answer = Client().post(url, {"passkey": given, "username": boss.username, "password": PASSWORD})
            assert answer.status_code == 200
    refusal = browser.post(page, {"do": "options"} | PROOF)
    assert "second factor" in refusal.json()["detail"]
    browser.post(page, {"do": "remove", "passkey": Passkey.objects.get().pk} | PROOF)
    mine = Passkey.objects.get()
    other, _, _ = register(make_user("rep"))
    browser.post(page, {"do": "remove", "passkey": Passkey.objects.exclude(pk=mine.pk).get().pk} | PROOF)
    browser.post(page, {"do": "rename", "passkey": "x", "name": "y"})
    browser.post(page, {"do": "nonsense"})
    assert Passkey.objects.count() == 2
    # The list of everybody's, for administrators.
    everybodys = "/admin/core/passkey/"
    assert "Laptop" in browser.get(everybodys).content.decode()
    theirs = Passkey.objects.exclude(pk=mine.pk).get()
    browser.post(everybodys, {"action": "remove", "_selected_action": [theirs.pk]})
    assert list(Passkey.objects.all()) == [mine]
    proof = device.get(browser.post(page, {"do": "proof_options"}).json()["publicKey"])
    body = {"do": "remove", "passkey": mine.pk, "proof": json.dumps(proof)} | PROOF
    browser.post(page, body)
    assert not Passkey.objects.exists()
    sources = Change.objects.filter(entity="passkey", actor_id=boss.pk).values_list("kind", "source")
    assert set(sources) == {("created", "admin"), ("deleted", "admin")}
    assert other.id != device.id
