"""SCIM as identity providers speak it: a checker of the protocol, and what Entra ID and Okta send."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from core.access import Role
from core.accounts import keys, sessions
from core.accounts.models import ApiKey, ProvisionedGroup, ProvisionedMember, ProvisionedUser, User
from core.accounts.origin import Origin
from core.accounts.scim import groups as group_rows
from core.accounts.scim import views
from core.accounts.tests.factories import TeamFactory
from core.changes.models import Change

BASE = "/scim/v2"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
ADA = {
    "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
    "externalId": "00u1ada",
    "userName": "ada@example.org",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"primary": True, "value": "ada@example.org", "type": "work"}],
    "displayName": "Ada Lovelace",
    "locale": "en-US",
    "password": "1mz050nq correct horse",
    "groups": [],
    "active": True,
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Engines"},
}


class Provider:
    """An identity provider with a key."""

    def __init__(self, user, scopes=("scim:write",)):
        self.user = user
        self.text = keys.make(user, "Identity provider", list(scopes))[1] if user else None

    def __call__(self, method, path, body=None, expected=None, **headers):
        given = {"HTTP_AUTHORIZATION": f"Bearer {self.text}"} if self.text else {}
        text = body if isinstance(body, str | bytes) else json.dumps(body) if body is not None else ""
        answer = Client().generic(
            method, BASE + path, text, content_type="application/scim+json", **given | headers
        )
        assert expected is None or answer.status_code == expected, answer.content
        return answer

    def create(self, **fields):
        return self("POST", "/Users", ADA | fields, 201).json()

    def group(self, name, *members, **fields):
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": str(m)} for m in members]}
        return self("POST", "/Groups", body | fields, 201).json()

    def patch(self, path, *operations, expected=None, **headers):
        return self("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, expected, **headers)

    def found(self, kind, text, **more):
        return self("GET", f"/{kind}", None, 200, QUERY_STRING=query(filter=text, **more)).json()


def query(**parameters):
    from urllib.parse import urlencode

    return urlencode(parameters)


def refusal(answer):
    document = answer.json()
    assert document["schemas"] == [ERROR]
    assert document["status"] == str(answer.status_code)
    assert answer["Content-Type"] == "application/scim+json"
    return answer.status_code, document.get("scimType")


@pytest.fixture
def owner(make_user):
    return make_user("admin", username="provisioning")


@pytest.fixture
def idp(owner):
    return Provider(owner)


@pytest.mark.django_db(transaction=True)  # each of its requests ends its connection
def test_a_checker_of_the_protocol_finds_what_is_simpler_here_alone(idp):
    from django.core.wsgi import get_wsgi_application
    from scim2_client.engines.wsgi import WSGISCIMClient
    from scim2_tester import Status, check_server

    client = WSGISCIMClient(
        get_wsgi_application(),
        base_url="http://localhost/scim/v2",
        headers={"Authorization": f"Bearer {idp.text}"},
    )
    results = check_server(client)
    wrong = [r.title for r in results if r.status in (Status.ERROR, Status.CRITICAL)]
    # Of emails the address alone is kept, of members who they are, and everybody is active or is not.
    simpler = ["check_add_attribute"] * 2 + ["check_remove_attribute"] + ["check_replace_attribute"] * 2
    assert sorted(wrong) == simpler
    assert sum(r.status == Status.SUCCESS for r in results) > 50


@pytest.mark.django_db
def test_okta_makes_finds_replaces_and_deactivates_a_user(idp, owner, make_lead):
    assert idp.found("Users", 'userName eq "ada@example.org"', startIndex=1, count=100)["totalResults"] == 0
    made = idp.create()
    user = User.objects.get(username="ada@example.org")
    assert made["id"] == str(user.pk)
    assert made["externalId"] == "00u1ada"
    assert made["meta"]["location"].endswith(f"/scim/v2/Users/{user.pk}")
    assert "password" not in json.dumps(made)
    assert (user.first_name, user.last_name, user.email, user.role) == (
        "Ada",
        "Lovelace",
        "ada@example.org",
        "rep",
    )
    assert not user.has_usable_password()
    replaced = idp("PUT", f"/Users/{user.pk}", ADA | {"name": {"givenName": "Augusta"}}, 200).json()
    assert replaced["name"] == {"givenName": "Augusta"}
    access = sessions.begin(user, Origin("127.0.0.1", "")).access
    own = keys.make(user, "Own", ["read"])[1]
    lead = make_lead(owner=user.pk)

    body = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": False}}]}
    assert idp("PATCH", f"/Users/{user.pk}", body, 200).json()["active"] is False
    for token in (access, own):
        answer = Client().get("/api/auth/me/", HTTP_AUTHORIZATION=f"Bearer {token}")
        assert answer.status_code == 401
    lead.refresh_from_db()
    assert lead.owner_id == user.pk
    assert idp.found("Users", "active eq false")["Resources"][0]["id"] == str(user.pk)
    last = Change.objects.filter(entity="user", object_id=user.pk).latest("id")
    assert (last.source, last.actor_id, last.changes) == ("api", owner.pk, {"is_active": [True, False]})


@pytest.mark.django_db
def test_entra_patches_one_attribute_after_the_other(idp):
    made = idp.create(emails=[], active=True)
    path = f"/Users/{made['id']}"
    idp.patch(
        path,
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "ada@byron.example"},
        {"op": "Replace", "path": "name.familyName", "value": "Byron"},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Add", "path": "displayName", "value": "Ada Byron"},
        {"op": "Replace", "path": "externalId", "value": "ada.b"},
        expected=200,
    )
    user = User.objects.get(pk=made["id"])
    assert (user.email, user.last_name, user.is_active) == ("ada@byron.example", "Byron", False)
    assert user.provisioned.external_id == "ada.b"
    idp.patch(path, {"op": "Replace", "path": "active", "value": "True"}, expected=200)
    idp.patch(path, {"op": "Remove", "path": "name.givenName"}, expected=200)
    user.refresh_from_db()
    assert (user.is_active, user.first_name) == (True, "")
    found = idp.found("Users", 'emails[type eq "work" and value eq "ADA@byron.example"]')
    assert [one["id"] for one in found["Resources"]] == [made["id"]]
    assert idp.found("Users", 'externalId eq "ADA.B"')["totalResults"] == 0
    assert idp.found("Users", 'externalId eq "ada.b"', count=0) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 1,
        "startIndex": 1,
        "itemsPerPage": 0,
        "Resources": [],
    }


@pytest.mark.django_db
def test_pages_follow_each_other(idp):
    ids = [int(idp.create(userName=f"u{n}", externalId=f"x{n}", emails=[])["id"]) for n in range(5)]
    seen = []
    for start in (1, 3, 5, 7):
        answer = idp("GET", "/Users", None, 200, QUERY_STRING=query(startIndex=start, count=2)).json()
        assert answer["totalResults"] == 6
        seen += [int(one["id"]) for one in answer.get("Resources", ())]
    assert seen == [idp.user.pk, *ids]
    answer = idp("GET", "/Users", None, 200, QUERY_STRING=query(startIndex=-3, count=10**9)).json()
    assert (answer["startIndex"], len(answer["Resources"])) == (1, 6)


@pytest.mark.django_db
def test_versions(idp):
    made = idp.create()
    path, tag = f"/Users/{made['id']}", made["meta"]["version"]
    assert idp("GET", path, None, 304, HTTP_IF_NONE_MATCH=tag).content == b""
    operation = {"op": "replace", "path": "name.givenName", "value": "Augusta"}
    changed = idp.patch(path, operation, expected=200, HTTP_IF_MATCH=tag)
    assert changed["ETag"] != tag
    assert refusal(idp.patch(path, operation, HTTP_IF_MATCH=tag)) == (412, None)
    assert refusal(idp("DELETE", path, HTTP_IF_MATCH=tag)) == (412, None)


@pytest.mark.django_db
def test_what_is_deleted_is_not_there_and_comes_back_by_its_external_id_alone(idp):
    made = idp.create()
    user = User.objects.get(pk=made["id"])
    own = keys.make(user, "Own", ["read"])[0]
    idp("DELETE", f"/Users/{user.pk}", None, 204)
    assert idp("GET", f"/Users/{user.pk}").status_code == 404
    assert idp("DELETE", f"/Users/{user.pk}").status_code == 404
    assert idp.found("Users", 'userName eq "ada@example.org"')["totalResults"] == 0
    user.refresh_from_db()
    assert user.is_active is False

    assert refusal(idp("POST", "/Users", ADA | {"externalId": "somebody-else"})) == (409, "uniqueness")
    again = idp.create(userName="ada.lovelace")
    assert again["id"] == made["id"]
    user.refresh_from_db()
    own.refresh_from_db()
    assert (user.is_active, user.username, own.is_live) == (True, "ada.lovelace", False)


@pytest.mark.django_db
def test_groups_give_roles_and_teams(idp, settings):
    north, south = TeamFactory(name="North"), TeamFactory(name="South")
    settings.OIDC_ROLES = {"crm-managers": "manager", "id-of-viewers": "viewer"}
    settings.OIDC_TEAMS = {"crm-managers": "north", "id-of-viewers": "South"}
    settings.OIDC_DEFAULT_ROLE = "rep"
    ada, bob = (int(idp.create(userName=name, externalId=name, emails=[])["id"]) for name in ("ada", "bob"))

    def state(pk):
        return User.objects.values_list("role", "team").get(pk=pk)

    unmapped = idp.group("Everyone", ada, bob)
    assert (state(ada), state(bob)) == ((Role.REP, None), (Role.REP, None))
    assert idp.found("Users", f'groups eq "{unmapped["id"]}"')["totalResults"] == 2
    managers = idp.group("crm-managers", externalId="id-of-managers")
    path = f"/Groups/{managers['id']}"
    # Entra adds and removes members by value, Okta by a filter, and names the group when it renames it.
    members = [{"value": str(ada)}, {"value": str(bob)}]
    idp.patch(path, {"op": "Add", "path": "members", "value": members}, expected=204)
    assert (state(ada), state(bob)) == ((Role.MANAGER, north.pk), (Role.MANAGER, north.pk))
    viewers = idp.group("Viewers", ada, externalId="id-of-viewers")
    assert state(ada) == (Role.MANAGER, north.pk)
    idp.patch(path, {"op": "Remove", "path": "members", "value": [{"value": str(bob)}]}, expected=204)
    idp.patch(path, {"op": "remove", "path": f'members[value eq "{ada}"]'}, expected=204)
    assert (state(ada), state(bob)) == ((Role.VIEWER, south.pk), (Role.REP, None))
    rename = {"op": "replace", "value": {"id": viewers["id"], "displayName": "Readers"}}
    idp.patch(f"/Groups/{viewers['id']}", rename, expected=204)
    assert state(ada) == (Role.VIEWER, south.pk)
    idp("DELETE", f"/Groups/{viewers['id']}", None, 204)
    assert state(ada) == (Role.REP, None)

    put = {
        "schemas": [GROUP],
        "displayName": "crm-managers",
        "members": [{"value": str(bob), "display": "bob"}],
    }
    shown = idp("PUT", path, put, 200).json()
    assert [member["value"] for member in shown["members"]] == [str(bob)]
    assert state(bob) == (Role.MANAGER, north.pk)
    listed = idp.found("Groups", 'displayName eq "CRM-Managers"', excludedAttributes="members")["Resources"]
    assert [("members" in one, one["id"]) for one in listed] == [(False, managers["id"])]
    both = f'id eq "{managers["id"]}" and members eq "{bob}"'
    assert idp.found("Groups", both)["totalResults"] == 1
    idp.patch(path, {"op": "replace", "path": "displayName", "value": "Chiefs"}, expected=204)
    assert state(bob) == (Role.REP, None)
    assert Change.objects.filter(entity="provisioned_member", actor_id=idp.user.pk, source="api").exists()


@pytest.mark.django_db
def test_a_sign_in_without_groups_follows_those_that_were_pushed(idp, settings):
    from core.accounts.single_sign_on.identities import user_of

    settings.OIDC_ISSUER, settings.OIDC_ROLES = "https://id.example", {"crm-managers": "manager"}
    made = idp.create()
    idp.group("crm-managers", made["id"])
    user = user_of({"sub": "s-1", "email": "ada@example.org", "email_verified": True})
    assert (str(user.pk), user.role) == (made["id"], Role.MANAGER)


@pytest.mark.django_db
def test_who_is_not_changed(idp, owner, make_user, settings):
    settings.OIDC_ROLES = {"admins": "admin"}
    root = make_user("admin", username="root", is_superuser=True)
    path = f"/Users/{root.pk}"
    off = {"op": "replace", "path": "active", "value": False}
    assert idp("GET", path, None, 200).json()["userName"] == "root"
    assert refusal(idp.patch(path, off)) == (403, None)
    assert refusal(idp("DELETE", path)) == (403, None)
    assert refusal(Provider(root).patch(path, off)) == (403, None)
    assert refusal(idp.patch(f"/Users/{owner.pk}", off)) == (403, None)
    group = idp.group("admins", owner.pk)
    gone = {"op": "remove", "path": "members"}
    assert refusal(idp.patch(f"/Groups/{group['id']}", gone)) == (409, None)
    assert ProvisionedMember.objects.count() == 1
    owner.refresh_from_db()
    assert owner.role == Role.ADMIN


@pytest.mark.django_db
def test_refusals(idp, settings):
    idp.create()
    bob = idp.create(userName="bob", externalId="bob", emails=[])
    path = f"/Users/{bob['id']}"

    def post(**fields):
        return refusal(
            idp("POST", "/Users", ADA | {"externalId": "c", "emails": [], "userName": "c"} | fields)
        )

    def patch(*operations):
        return refusal(idp.patch(path, *operations))

    assert post(userName="ADA@example.org") == (409, "uniqueness")
    assert post(emails=[{"value": "Ada@Example.org"}]) == (409, "uniqueness")
    assert post(externalId="bob") == (409, "uniqueness")
    assert patch({"op": "replace", "path": "externalId", "value": "00u1ada"}) == (409, "uniqueness")
    assert post(userName=None) == (400, "invalidValue")
    assert post(userName="two words") == (400, "invalidValue")
    assert post(userName="c" * 200) == (400, "invalidValue")
    assert post(externalId="c" * 300) == (400, "invalidValue")
    assert post(name={"givenName": "a\x00b"}) == (400, "invalidSyntax")
    assert post(emails=[{"value": "nobody"}]) == (400, "invalidValue")
    assert patch({"op": "replace", "path": "id", "value": "7"}) == (400, "mutability")
    assert patch({"op": "replace", "path": "emails[value pr", "value": "7"}) == (400, "invalidPath")
    assert refusal(idp.patch(path, *[{"op": "remove", "path": "name"}] * (views.MAX_OPERATIONS + 1))) == (
        413,
        None,
    )
    assert refusal(idp("POST", "/Users", "{")) == (400, "invalidSyntax")
    assert refusal(idp("POST", "/Users", "[" * 400 + "]" * 400)) == (400, "invalidSyntax")
    assert refusal(idp("GET", "/Users/1%00")) == (404, None)
    assert refusal(idp("GET", f"/Users/{10**30}")) == (404, None)
    assert refusal(idp("GET", "/Nothing")) == (404, None)
    assert refusal(idp("POST", "/Bulk", {})) == (501, None)
    assert refusal(idp("GET", "/Me")) == (501, None)
    assert refusal(idp("PUT", "/Users", ADA)) == (405, None)
    group = {"schemas": [GROUP], "displayName": "g", "members": [{"value": "999999"}]}
    assert refusal(idp("POST", "/Groups", group)) == (400, "invalidValue")
    many = [{"value": str(n)} for n in range(group_rows.MAX_MEMBERS + 1)]
    assert refusal(idp("POST", "/Groups", group | {"members": many})) == (413, None)
    idp.group("Reps")
    assert refusal(idp("POST", "/Groups", {"schemas": [GROUP], "displayName": "reps"})) == (409, "uniqueness")
    assert idp("POST", "/Users", b" " * (1 << 20) + b"{}").status_code == 413
    assert ProvisionedGroup.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "userName",
        'userName eq "a',
        'password eq "x"',
        'userName co "a"',
        'not (userName eq "a")',
        "userName pr",
        "userName eq null",
        'userName eq "a" or ' * 200 + 'userName eq "b"',
        "(" * 60 + 'userName eq "a" and (userName eq "b" or ' * 20 + 'userName eq "a"' + ")" * 80,
        'emails[emails[value eq "a@b.example"]]',
        'userName eq "a"; DROP TABLE core_user',
    ],
)
def test_filters_that_are_refused(idp, text):
    assert refusal(idp("GET", "/Users", QUERY_STRING=query(filter=text))) == (400, "invalidFilter")


@pytest.mark.django_db
def test_values_of_filters_are_values(idp):
    idp.create(userName="o_neil", externalId="%", emails=[])
    assert idp.found("Users", 'userName eq "%"')["totalResults"] == 0
    assert idp.found("Users", 'userName eq "o\\" or userName eq \\"o_neil"')["totalResults"] == 0
    assert idp.found("Users", 'userName eq "O_NEIL" and (active eq true or id eq "x")')["totalResults"] == 1
    assert idp.found("Users", 'id eq "99999999999999999999"')["totalResults"] == 0
    assert idp.found("Users", 'emails.value eq "none@example.org"')["totalResults"] == 0


@pytest.mark.django_db
def test_only_a_key_of_an_administrator_with_the_scope_gets_in(make_user, admin_user, api):
    paths = ("/Users", "/Groups", "/ServiceProviderConfig", "/Schemas", "/ResourceTypes")
    assert [refusal(Provider(None)("GET", path))[0] for path in paths] == [401] * 5
    session = sessions.begin(admin_user, Origin("127.0.0.1", "")).access
    by_session = Provider(None)
    by_session.text = session
    assert refusal(by_session("GET", "/Users")) == (401, None)
    for scopes in (["write"], ["read"], ["users:write", "teams:write"]):
        assert refusal(Provider(admin_user, scopes)("GET", "/Users")) == (403, None)
        assert refusal(Provider(admin_user, scopes)("POST", "/Users", ADA)) == (403, None)
    reading = Provider(admin_user, ["scim:read"])
    assert [reading("GET", path).status_code for path in paths] == [200] * 5
    assert refusal(reading("POST", "/Users", ADA)) == (403, None)
    search = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": 'userName eq "x"'}
    assert reading("POST", "/Users/.search", search).json()["totalResults"] == 0
    for role in ("manager", "rep", "viewer"):
        assert refusal(Provider(make_user(role), ["scim:write"])("GET", "/Users")) == (403, None)
    assert User.objects.filter(username="ada@example.org").count() == 0

    def makes(user, scope):
        return api(user).post("/api/auth/api_keys/", {"name": "IdP", "scopes": [scope]}).status_code

    assert [makes(admin_user, scope) for scope in ("scim:write", "scim:read")] == [201, 201]
    manager = make_user("manager")
    assert [makes(manager, scope) for scope in ("scim:write", "scim:read", "read")] == [400, 400, 201]
    demoted = Provider(admin_user)
    make_user("admin")
    User.objects.filter(pk=admin_user.pk).update(role=Role.MANAGER)
    assert refusal(demoted("GET", "/Users")) == (403, None)
    ApiKey.objects.update(revoked_at=timezone.now())
    assert refusal(reading("GET", "/Users")) == (401, None)


@pytest.mark.django_db
def test_it_is_limited_like_all_requests(idp, settings):
    settings.RATE_LIMIT_ENABLED, settings.DEFAULT_RATE_LIMIT = True, "1/hour"
    idp("GET", "/Users", None, 200)
    answer = idp("GET", "/Users")
    assert refusal(answer) == (429, None)
    assert int(answer["Retry-After"]) > 0


@pytest.mark.django_db(transaction=True)
def test_what_happens_at_once(idp, at_once, settings):
    settings.OIDC_ROLES = {"a": "manager", "b": "viewer"}
    made = at_once(*[lambda: idp("POST", "/Users", ADA).status_code] * 2)
    assert sorted(made) == [201, 409]
    assert ProvisionedUser.objects.count() == 1
    ada = User.objects.get(username="ada@example.org")
    paths = [f"/Groups/{idp.group(name)['id']}" for name in ("a", "b")]
    add = {"op": "add", "path": "members", "value": [{"value": str(ada.pk)}]}
    assert at_once(*[lambda p=path: idp.patch(p, add).status_code for path in paths]) == [204, 204]
    ada.refresh_from_db()
    assert (ada.role, ada.provisioned_groups.count()) == (Role.MANAGER, 2)
    remove = {"op": "remove", "path": "members"}
    works = [lambda: idp.patch(paths[0], remove), lambda: idp.patch(paths[0], {**add, "op": "replace"})]
    assert {answer.status_code for answer in at_once(*works)} == {204}
    ada.refresh_from_db()
    in_first = ada.provisioned_groups.filter(display_name="a").exists()
    assert ada.role == (Role.MANAGER if in_first else Role.VIEWER)


@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_deactivate_each_other_at_once_leave_one(make_user, at_once):
    one, other = (Provider(make_user("admin")) for _ in range(2))
    statuses = at_once(
        lambda: one("DELETE", f"/Users/{other.user.pk}").status_code,
        lambda: other("DELETE", f"/Users/{one.user.pk}").status_code,
    )
    # Whoever comes second is the last one, or has no key any more.
    assert statuses.count(204) == 1
    assert set(statuses) - {204} <= {401, 409}
    assert User.objects.administrators().count() == 1


@pytest.mark.django_db
def test_keys_of_who_was_deactivated_stay_revoked(idp):
    made = idp.create()
    user = User.objects.get(pk=made["id"])
    keys.make(user, "Theirs", ["leads:read"])
    for active in (False, True):
        idp.patch(f"/Users/{user.pk}", {"op": "replace", "path": "active", "value": active}, expected=200)
    assert User.objects.get(pk=user.pk).is_active
    assert not ApiKey.objects.filter(user=user, revoked_at=None).exists()


@pytest.mark.django_db
def test_a_group_is_not_called_as_another_is_known(idp, settings):
    settings.OIDC_ROLES = {"G-1": "admin"}
    eve = idp.create(userName="eve@example.org", emails=[], externalId="eve")
    idp.group("crm-admins", externalId="G-1")
    body = {"schemas": [GROUP], "displayName": "G-1", "members": [{"value": eve["id"]}]}
    assert refusal(idp("POST", "/Groups", body)) == (400, "invalidValue")
    assert User.objects.get(pk=eve["id"]).role == "rep"


@pytest.mark.django_db
def test_who_was_deleted_keeps_nothing_that_groups_gave(idp, settings):
    north = TeamFactory(name="North")
    settings.OIDC_ROLES, settings.OIDC_TEAMS = {"bosses": "manager"}, {"north": "North"}
    made = idp.create()
    for name in ("bosses", "north"):
        idp.group(name, made["id"])
    user = User.objects.get(pk=made["id"])
    assert (user.role, user.team) == ("manager", north)
    idp("DELETE", f"/Users/{user.pk}", None, 204)
    user.refresh_from_db()
    assert (user.role, user.team) == ("rep", None)
    assert idp.create()["id"] == made["id"]


@pytest.mark.django_db
def test_nobody_is_called_by_the_address_of_somebody_else(idp, make_user):
    make_user("admin", username="root", email="root@corp.example", is_superuser=True)
    taken = ADA | {"userName": "ROOT@corp.example", "emails": []}
    assert refusal(idp("POST", "/Users", taken)) == (409, "uniqueness")
    assert refusal(idp("POST", "/Users", ADA | {"emails": [{"value": "root"}]}))[0] == 400
    assert refusal(idp("POST", "/Users", ADA | {"userName": "ﷺ" * 9}))[0] == 400


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_texts_that_are_none_find_nothing(idp, kind):
    assert idp.found(kind, 'externalId eq "\\ud800"')["totalResults"] == 0
    many = " and ".join(['externalId eq "a"'] * 21).replace(" ", "\t")
    assert refusal(idp("GET", f"/{kind}", None, QUERY_STRING=query(filter=many)))[0] == 400


@pytest.mark.django_db
def test_members_are_removed_by_the_whole_name_of_the_attribute_too(idp):
    made = idp.create()
    group = idp.group("sellers", made["id"])
    idp.patch(f"/Groups/{group['id']}", {"op": "replace", "value": {f"{GROUP}:members": []}}, expected=204)
    assert not ProvisionedMember.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_after_a_deadlock_it_is_carried_out_again(idp, monkeypatch):
    from django.db import OperationalError
    from psycopg.errors import DeadlockDetected

    from core.accounts.scim import people

    made, update, calls = idp.create(), people.update, []

    def once_in_a_deadlock(*given):
        calls.append(given)
        if len(calls) == 1:
            raise OperationalError("deadlock detected") from DeadlockDetected()
        return update(*given)

    monkeypatch.setattr(people, "update", once_in_a_deadlock)  # a deadlock cannot be had at will
    idp.patch(
        f"/Users/{made['id']}", {"op": "replace", "path": "name.givenName", "value": "A."}, expected=200
    )
    assert (User.objects.get(pk=made["id"]).first_name, len(calls)) == ("A.", 2)
