"""Standard Webhooks signatures, checked by the independent package."""

import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from core.outbound import sealing, signing
from core.outbound.signing import SignatureError, headers, new_secret, verify

BODY = b'{"type":"lead.created","data":{"name":"J\xc3\xbcrgen"}}'


def test_the_independent_package_verifies_what_we_sign():
    secret = new_secret()
    assert Webhook(secret).verify(BODY, headers([secret], "msg_1", BODY))["type"] == "lead.created"


def test_during_a_rotation_both_secrets_verify():
    old, new = new_secret(), new_secret()
    given = headers([new, old], "msg_1", BODY)
    assert Webhook(old).verify(BODY, given) == Webhook(new).verify(BODY, given)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda g, b: (g, b[:-1] + b" "),
        lambda g, b: (g | {"webhook-id": "msg_2"}, b),
        lambda g, b: (g | {"webhook-timestamp": str(int(time.time()) - 360)}, b),
    ],
)
def test_a_changed_byte_id_or_time_is_refused_by_the_package_and_by_us(spoil):
    secret = new_secret()
    given, body = spoil(headers([secret], "msg_1", BODY), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, given)
    with pytest.raises(SignatureError):
        verify([secret], given, body)


def test_what_is_six_minutes_old_is_refused_though_genuine():
    secret = new_secret()
    old = headers([secret], "msg_1", BODY, timestamp=int(time.time()) - 361)
    with pytest.raises(SignatureError, match="too old"):
        verify([secret], old, BODY)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"webhook-id": "m"},
        {"webhook-id": "m", "webhook-timestamp": "now"},
        {"webhook-id": "m", "webhook-timestamp": "9" * 40},
        {"webhook-id": "m" * 300, "webhook-timestamp": "1"},
        {"webhook-id": "m", "webhook-timestamp": str(int(time.time())), "webhook-signature": "garbage v1, é"},
    ],
)
def test_malformed_headers_are_refused_and_never_an_error(given):
    with pytest.raises(SignatureError):
        verify([new_secret()], given, BODY)


def test_ours_verifies_what_the_package_signs():
    from datetime import UTC, datetime

    secret = new_secret()
    now = datetime.now(UTC)
    given = {
        "webhook-id": "x",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("x", now, BODY.decode()),
    }
    assert verify([new_secret(), secret], given, BODY) == "x"


def test_secrets_are_long_and_their_own():
    first, second = new_secret(), new_secret()
    assert first != second
    assert len(signing.key_of(first)) == 32


def test_a_sealed_secret_opens_under_a_new_key_while_the_old_one_is_a_fallback(settings):
    sealed = sealing.seal("whsec_x")
    assert "whsec_x" not in sealed
    assert sealing.seal(sealed) == sealed
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "n" * 60
    assert sealing.unseal(sealed) == "whsec_x"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(sealing.UnsealError):
        sealing.unseal(sealed)
