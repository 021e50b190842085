"""Signing in at a real OpenID Connect provider, which runs in a thread of this process."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client
from oidc_provider_mock import run_server_in_thread

from core.accounts.models import ExternalIdentity, Session, User
from core.accounts.single_sign_on.codes import challenge_of
from core.accounts.tests.conftest import PASSWORD
from core.accounts.tests.factories import TeamFactory
from core.changes.models import Change

pytestmark = pytest.mark.django_db
VERIFIER = "v" * 43
ADA = {
    "preferred_username": "ada",
    "email": "ada@example.org",
    "email_verified": True,
    "given_name": "Ada",
    "family_name": "Lovelace",
    "groups": ["staff", "crm-reps"],
}


@pytest.fixture(scope="module")
def provider():
    with run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(autouse=True)
def configured(settings, provider):
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = provider, "crm", "secret"
    settings.OIDC_NAME = "Example ID"
    settings.PUBLIC_URL = "http://testserver"
    settings.ALLOWED_HOSTS = ["testserver"]


def known_there(provider, subject="s-1", **claims):
    """Somebody whom the provider knows."""
    person = {"sub": subject, **{name: value for name, value in claims.items() if value is not None}}
    httpx.put(f"{provider}/users/{subject}", json=person).raise_for_status()
    return subject


def sent_back(browser, subject, **query):
    """Where the provider sends the browser back to, once the person has signed in there."""
    away = browser.get("/sso/login/", query)
    assert away.status_code == 302, away.content
    back = httpx.post(away.url, data={"sub": subject})
    assert back.status_code == 302, back.text
    return back.headers["location"].removeprefix("http://testserver")


def signed_in(browser, subject, **query):
    return browser.get(sent_back(browser, subject, **query))


def test_a_first_sign_in_makes_a_user_and_the_next_finds_it_whatever_it_is_called(provider):
    ada, browser = known_there(provider, "s-first", **ADA), Client()
    answer = signed_in(browser, ada, next="/admin/core/session/")
    assert (answer.status_code, answer.url) == (302, "/admin/core/session/")
    user = User.objects.get()
    assert (user.username, user.email, user.get_full_name()) == ("ada", "ada@example.org", "Ada Lovelace")
    assert (user.role, user.is_staff, user.is_superuser, user.has_usable_password()) == (
        "rep",
        True,
        False,
        False,
    )
    assert browser.get("/admin/").status_code == 200
    assert Session.objects.get().kind == "admin"
    assert Change.objects.get(entity="user", kind="created").source == "system"
    known_there(provider, "s-first", **ADA | {"preferred_username": "ada.king", "email": "king@example.org"})
    assert signed_in(Client(), ada).url == "/admin/"
    assert User.objects.get().username == "ada"
    assert ExternalIdentity.objects.get().last_used_at is not None


def test_who_has_the_address_here_is_connected_only_if_the_provider_vouches_for_it(
    provider, make_user, settings
):
    there = make_user("manager", email="Ada@Example.org", is_staff=True)
    stranger = known_there(provider, "s-vouch", **ADA | {"email_verified": None})
    answer = signed_in(Client(), stranger)
    assert answer.status_code == 403
    assert "does not vouch for it" in answer.content.decode()
    assert (User.objects.count(), ExternalIdentity.objects.count(), Session.objects.count()) == (1, 0, 0)
    settings.OIDC_TRUSTS_EMAIL = True
    assert signed_in(Client(), stranger).status_code == 302
    assert (ExternalIdentity.objects.get().user, User.objects.get().role) == (there, "manager")


def test_an_address_connects_neither_superusers_nor_a_second_identity(provider):
    root = User.objects.create_superuser("root", "ada@example.org", PASSWORD)
    stranger = known_there(provider, "s-super", **ADA)
    assert "not connected by the address alone" in signed_in(Client(), stranger).content.decode()
    User.objects.filter(pk=root.pk).update(is_superuser=False)
    assert signed_in(Client(), stranger).status_code == 302
    successor = known_there(provider, "s-successor", **ADA)
    assert signed_in(Client(), successor).status_code == 403, "the mailbox has passed on, the account has not"
    assert ExternalIdentity.objects.get().subject == "s-super"
    assert Session.objects.count() == 1


def test_an_address_that_nobody_vouches_for_is_not_kept_for_its_owner_to_be_caught_by(provider):
    early = known_there(provider, "s-early", **ADA | {"email": "boss@example.org", "email_verified": False})
    assert signed_in(Client(), early).status_code == 302
    assert User.objects.get().email == ""
    claims = ADA | {"preferred_username": "boss", "email": "boss@example.org"}
    signed_in(Client(), known_there(provider, "s-boss", **claims))
    assert ExternalIdentity.objects.get(subject="s-boss").user.username == "boss"


def test_a_user_name_that_is_somebodys_address_is_not_taken(provider, make_user):
    make_user(username="ceo", email="ceo@corp.example")
    person = known_there(provider, "s-shadow", **ADA | {"preferred_username": "CEO@corp.example"})
    signed_in(Client(), person)
    assert set(User.objects.values_list("username", flat=True)) == {"ceo", "ada@example.org"}


def test_groups_give_role_and_team_at_each_sign_in(provider, settings):
    settings.OIDC_ROLES = {"crm-admins": "admin", "crm-managers": "manager", "crm-reps": "rep"}
    settings.OIDC_TEAMS = {"north": "Team North"}
    north = TeamFactory(name="Team north")
    person = known_there(provider, "s-groups", **ADA | {"groups": ["north", "crm-reps", "crm-managers"]})
    assert signed_in(Client(), person).status_code == 302
    user = User.objects.get()
    assert (user.role, user.team) == ("manager", north)
    known_there(provider, "s-groups", **ADA | {"groups": ["crm-reps"]})
    signed_in(Client(), person)
    user.refresh_from_db()
    assert (user.role, user.team) == ("rep", north), "no group says that they left the team"
    known_there(provider, "s-groups", **ADA | {"groups": ["others"]})
    answer = signed_in(Client(), person)
    assert (answer.status_code, Session.objects.count()) == (403, 2)
    assert "None of your groups" in answer.content.decode()


def test_the_last_administrator_stays_one_and_superusers_keep_their_role(provider, settings):
    settings.OIDC_ROLES = {"crm-admins": "admin", "crm-reps": "rep"}
    person = known_there(provider, "s-last", **ADA | {"groups": "crm-admins"})
    signed_in(Client(), person)
    known_there(provider, "s-last", **ADA)
    assert signed_in(Client(), person).status_code == 302
    assert User.objects.get().role == "admin"
    User.objects.update(is_superuser=True)
    User.objects.create_superuser("root", "root@crm.example", PASSWORD)
    assert signed_in(Client(), person).status_code == 302
    assert User.objects.get(username="ada").role == "admin"


@pytest.mark.parametrize(
    ("claims", "changes", "said"),
    [
        ({}, {"OIDC_CREATES_USERS": False}, "You have no account here"),
        ({"preferred_username": "no spaces allowed"}, {}, "username"),
        ({"preferred_username": None, "email": None}, {}, "username"),
        ({"preferred_username": "taken", "email": "taken@example.org"}, {}, "username"),
        ({"preferred_username": "x" * 151, "email": "y" * 150 + "@example.org"}, {}, "username"),
    ],
)
def test_who_gets_no_account_learns_why_and_nothing_is_made(
    provider, make_user, settings, claims, changes, said
):
    make_user(username="Taken")
    make_user(username="TAKEN@example.org", email="")
    for name, value in changes.items():
        setattr(settings, name, value)
    answer = signed_in(Client(), known_there(provider, "s-none", **ADA | claims))
    assert answer.status_code == 403
    assert said in answer.content.decode()
    assert (User.objects.count(), ExternalIdentity.objects.count(), Session.objects.count()) == (2, 0, 0)


def test_a_name_that_somebody_has_gives_way_to_the_address(provider, make_user):
    make_user(username="Ada")
    assert signed_in(Client(), known_there(provider, "s-name", **ADA)).status_code == 302
    assert set(User.objects.values_list("username", flat=True)) == {"Ada", "ada@example.org"}


def test_a_deactivated_user_and_one_without_staff_status_do_not_get_in(provider):
    person, browser = known_there(provider, "s-gone", **ADA), Client()
    signed_in(browser, person)
    User.objects.update(is_staff=False)
    assert "may use the API" in signed_in(Client(), person).content.decode()
    User.objects.update(is_staff=True, is_active=False)
    assert "deactivated" in signed_in(Client(), person).content.decode()
    assert browser.get("/admin/").status_code == 302
    assert Session.objects.filter(ended_at=None).count() == 0


def test_a_sign_in_counts_only_in_the_browser_that_began_it_and_once(provider):
    person = known_there(provider, "s-browser", **ADA)
    mine = Client()
    address = sent_back(mine, person)
    assert Client().get(address).status_code == 400, "somebody else's link signs nobody in"
    forged = Client()
    forged.get("/sso/login/")
    assert forged.get(address).status_code == 400
    forged.cookies["crm_sso"] = mine.cookies["crm_sso"].value[:-2] + "xx"
    assert forged.get(address).status_code == 400
    assert mine.get(address).status_code == 302
    assert mine.get(address).status_code == 400
    again = Client()
    again.cookies["crm_sso"] = mine.cookies["crm_sso"].value
    assert again.get(address).status_code == 400
    assert Session.objects.count() == 1


def test_a_code_that_is_not_the_providers_and_a_refusal_sign_nobody_in(provider):
    browser = Client()
    state = parse_qs(urlsplit(browser.get("/sso/login/").url).query)["state"][0]
    assert browser.get("/sso/callback/", {"state": state, "code": "made-up"}).status_code == 502
    assert browser.get("/sso/callback/", {"state": state, "error": "access_denied"}).status_code == 403
    assert browser.get("/sso/callback/").status_code == 400
    assert User.objects.count() == 0


def test_tokens_of_another_issuer_prove_nothing(provider, settings):
    settings.OIDC_ISSUER = provider.replace("localhost", "127.0.0.1")
    person = known_there(provider, "s-issuer", **ADA)
    away = Client()
    address = away.get("/sso/login/").url
    back = httpx.post(address, data={"sub": person}).headers["location"].removeprefix("http://testserver")
    settings.OIDC_ISSUER = provider + "/"
    assert away.get(back).status_code == 502
    assert User.objects.count() == 0


def test_a_provider_that_is_away_is_said_to_be(settings):
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    answer = Client().get("/sso/login/")
    assert (answer.status_code, "does not answer" in answer.content.decode()) == (502, True)


def test_it_asks_with_pkce_state_and_nonce_and_leads_nowhere_else(provider):
    person, browser = known_there(provider, "s-next", **ADA), Client()
    asked = parse_qs(urlsplit(browser.get("/sso/login/").url).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://testserver/sso/callback/"]
    assert all(len(asked[name][0]) >= 20 for name in ("state", "nonce", "code_challenge"))
    cookie = browser.cookies["crm_sso"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/sso/callback/")
    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        assert signed_in(Client(), person, next=elsewhere).url == "/admin/"


def test_an_app_gets_tokens_for_its_code_and_verifier_once(provider, anonymous, bearing, settings):
    settings.OIDC_APP_URL = "https://app.example/signed-in"
    person = known_there(provider, "s-app", **ADA | {"amr": ["pwd", "mfa"]})
    body = {}
    for verifier, status in (("w" * 43, 401), (VERIFIER, 200), (VERIFIER, 401)):
        if status == 200 or not body:
            answer = signed_in(Client(), person, code_challenge=challenge_of(VERIFIER))
            address, code = answer.url.split("#code=")
            assert address == "https://app.example/signed-in"
            body["code"] = code
        got = anonymous.post("/api/auth/single_sign_on/", body | {"code_verifier": verifier})
        assert got.status_code == status, got.content
        if status == 200:
            assert bearing(got.json()["access"]).get("/api/auth/me/").json()["username"] == "ada"
    session = Session.objects.get()
    assert (session.kind, session.second_factor) == ("api", True)


@pytest.mark.parametrize("challenge", ["short", "x" * 44, "é" * 43])
def test_an_app_begins_with_a_challenge_of_s256(settings, challenge):
    settings.OIDC_APP_URL = "https://app.example/"
    assert Client().get("/sso/login/", {"code_challenge": challenge}).status_code == 400
    settings.OIDC_APP_URL = ""
    assert Client().get("/sso/login/", {"code_challenge": challenge_of(VERIFIER)}).status_code == 400


def test_roles_that_need_a_second_factor_need_the_providers_word_for_it(provider, settings):
    settings.SECOND_FACTOR_ROLES = ["rep"]
    person, browser = known_there(provider, "s-mfa", **ADA), Client()
    assert signed_in(browser, person).status_code == 302
    assert browser.get("/admin/").status_code == 302, "back to signing in"
    known_there(provider, "s-mfa", **ADA | {"amr": ["mfa"]})
    browser = Client()
    signed_in(browser, person)
    assert browser.get("/admin/").status_code == 200


def test_passwords_may_be_left_to_superusers(provider, anonymous, make_user, settings):
    settings.PASSWORD_SIGN_IN = "superusers"
    rep, root = make_user("rep"), User.objects.create_superuser("root", "root@crm.example", PASSWORD)
    for user, status in ((rep, 401), (root, 200)):
        body = {"username": user.username, "password": PASSWORD}
        assert anonymous.post("/api/auth/login/", body).status_code == status


def test_it_is_offered_where_it_is_configured_and_there_alone(client, anonymous, settings):
    link = "/sso/login/?next=%2Fadmin%2Fcore%2Fsession%2F"
    page = client.get("/admin/login/", {"next": "/admin/core/session/"}).content.decode()
    assert f'href="{link}"' in page.replace("&amp;", "&"), page[page.index("Sign in with") - 600 :][:900]
    assert "Sign in with Example ID" in page
    offered = anonymous.get("/api/auth/single_sign_on/").json()
    assert offered == {"enabled": True, "name": "Example ID", "login_url": "/sso/login/"}
    settings.OIDC_ISSUER = ""
    assert "Example ID" not in client.get("/admin/login/").content.decode()
    assert client.get("/sso/login/").status_code == client.get("/sso/callback/").status_code == 404
    offered = anonymous.get("/api/auth/single_sign_on/").json()
    assert offered == {"enabled": False, "name": "", "login_url": ""}


def test_administrators_connect_people_by_hand(provider, make_user):
    boss, ada = make_user("admin", is_staff=True), make_user("rep", is_staff=True)
    browser = Client()
    browser.force_login(boss)
    body = {"user": ada.pk, "issuer": provider, "subject": "s-hand"}
    assert browser.post("/admin/core/externalidentity/add/", body).status_code == 302
    signed_in(Client(), known_there(provider, "s-hand", email="else@example.org"))
    assert Session.objects.filter(user=ada, kind="admin").count() == 1
    root = User.objects.create_superuser("root", "root@crm.example", PASSWORD)
    body = {"user": root.pk, "issuer": provider, "subject": "s-root"}
    assert browser.post("/admin/core/externalidentity/add/", body).status_code == 200, "refused"
    assert ExternalIdentity.objects.count() == 1
    browser.force_login(ada)
    assert browser.get("/admin/core/externalidentity/").status_code == 403
