"""What a token must be to be believed."""

import base64
import json
import time
from datetime import timedelta

import jwt
import pytest
import time_machine
from django.conf import settings

from core.accounts.models import Session
from core.accounts.tokens import TokenRefusedError, read_access

pytestmark = pytest.mark.django_db


def claims(tokens, kind="access"):
    return jwt.decode(tokens[kind], options={"verify_signature": False})


def forged(payload, *, key=None, algorithm="HS256", headers=None):
    return jwt.encode(payload, key or settings.JWT_SIGNING_KEY, algorithm, headers=headers)


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_names_issuer_audience_user_session_and_times(rep, log_in):
    tokens = log_in(rep)
    found = claims(tokens)
    assert set(found) == {"iss", "aud", "iat", "nbf", "exp", "jti", "token_type", "sub", "sid"}
    assert (found["iss"], found["aud"], found["token_type"]) == ("crm", "crm-api", "access")
    assert (found["sub"], found["sid"]) == (str(rep.pk), str(tokens["session"]))
    assert found["exp"] - found["iat"] == 600
    assert jwt.get_unverified_header(tokens["access"])["alg"] == "HS256"
    refresh = claims(tokens, "refresh")
    assert refresh["exp"] - refresh["iat"] == 14 * 86_400


def test_tokens_are_signed_by_a_key_of_their_own(rep, log_in):
    assert settings.JWT_SIGNING_KEY != settings.SECRET_KEY
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(log_in(rep)["access"], settings.SECRET_KEY, ["HS256"], audience="crm-api")


def without(claim):
    return lambda c: {name: value for name, value in c.items() if name != claim}


NOW = time.time()
FORGERIES = {
    "of another kind": lambda c: c | {"token_type": "refresh"},
    "without a kind": without("token_type"),
    "expired": lambda c: c | {"exp": int(NOW) - 10},
    "without an end": without("exp"),
    "not yet valid": lambda c: c | {"nbf": int(NOW) + 86_400},
    "for another audience": lambda c: c | {"aud": "elsewhere"},
    "without an audience": without("aud"),
    "of another issuer": lambda c: c | {"iss": "elsewhere"},
    "without an issuer": without("iss"),
    "without an id": without("jti"),
    "without a session": without("sid"),
    "with a session that is no number": lambda c: c | {"sid": "1 OR 1=1"},
    "with a session beyond all numbers": lambda c: c | {"sid": "9" * 30},
    "without a user": without("sub"),
    "of an unknown session": lambda c: c | {"sid": "999999999"},
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_token_is_refused(rep, log_in, bearing, change):
    """Even one that is signed with the right key."""
    token = forged(change(claims(log_in(rep))))
    response = bearing(token).get("/api/auth/me/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response["Content-Type"] == "application/problem+json"


def test_the_untouched_claims_signed_again_are_believed(rep, log_in, bearing):
    """So what the forgeries are refused for is their one change."""
    assert bearing(forged(claims(log_in(rep)))).get("/api/auth/me/").status_code == 200


def test_the_session_of_another_user_is_no_help(rep, make_user, log_in, bearing):
    strangers = log_in(make_user("admin"))
    token = forged(claims(log_in(rep)) | {"sid": str(strangers["session"])})
    assert bearing(token).get("/api/auth/me/").status_code == 401


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_one_algorithm_is_accepted(rep, log_in, bearing, algorithm):
    assert bearing(forged(claims(log_in(rep)), algorithm=algorithm)).get("/api/auth/me/").status_code == 401


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
def test_a_token_without_signature_is_refused(rep, log_in, bearing, name):
    payload = segment(claims(log_in(rep)))
    for signature in ("", "x"):
        token = f"{segment({'alg': name, 'typ': 'JWT'})}.{payload}.{signature}"
        assert bearing(token).get("/api/auth/me/").status_code == 401


def test_a_key_that_the_token_itself_brings_is_not_used(rep, log_in, bearing):
    key = "k" * 64
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(key.encode()).decode()}
    for headers in ({"jwk": jwk}, {"jku": "http://127.0.0.1:1/jwks"}, {"kid": "/dev/null"}):
        token = forged(claims(log_in(rep)), key=key, headers=headers)
        assert bearing(token).get("/api/auth/me/").status_code == 401


def test_a_flipped_character_anywhere_is_noticed(rep, log_in, bearing):
    token = log_in(rep)["access"]
    head, payload, signature = token.split(".")
    for tampered in (
        f"{head[:-2]}AA.{payload}.{signature}",
        f"{head}.{segment(claims({'access': token}) | {'sub': '1'})}.{signature}",
        f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        f"{head}.{payload}",
        "x" * 10_000,
        "",
    ):
        assert bearing(tampered).get("/api/auth/me/").status_code == 401


def test_kinds_are_not_exchanged(anonymous, rep, log_in, bearing):
    tokens = log_in(rep)
    assert bearing(tokens["refresh"]).get("/api/auth/me/").status_code == 401
    assert anonymous.post("/api/auth/refresh/", {"refresh": tokens["access"]}).status_code == 401
    assert Session.objects.live().count() == 1


def test_the_life_of_an_access_token_is_a_setting(rep, log_in, settings):
    settings.JWT_ACCESS_LIFETIME = timedelta(seconds=90)
    tokens = log_in(rep)
    assert tokens["expires_in"] == 90
    assert read_access(tokens["access"])["exp"] - claims(tokens)["iat"] == 90


def test_a_token_that_was_believed_is_checked_again_against_time_and_key(rep, log_in, settings):
    text = log_in(rep)["access"]
    assert read_access(text) is read_access(text)  # its signature is verified once
    end = claims({"access": text})["exp"]
    for moment, is_live in ((end - 1, True), (end, False)):
        with time_machine.travel(moment, tick=False):
            assert _is_believed(text) is is_live
    settings.JWT_SIGNING_KEY = "another key of this installation, long enough for HS256"
    assert not _is_believed(text)


def _is_believed(text):
    try:
        return bool(read_access(text))
    except TokenRefusedError:
        return False


@pytest.mark.parametrize("header", ["Basic YTpi", "Token abc", "Bearer", "bearer ", "crm_"])
def test_other_headers_sign_nobody_in(anonymous, header):
    assert anonymous.get("/api/auth/me/", HTTP_AUTHORIZATION=header).status_code == 401
