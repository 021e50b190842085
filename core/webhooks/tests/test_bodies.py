"""Bodies of the actions of webhooks that are wrong: refused by field, nothing sent again."""

import pytest

from core.webhooks.tests.factories import WebhookDeliveryFactory, WebhookSubscriptionFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("since", "required")]),
        (None, [("since", "required")]),
        ({"since": None}, [("since", "null")]),
        ({"since": "soon"}, [("since", "invalid")]),
        ({"since": ["2026-01-01"]}, [("since", "invalid")]),
        ([], [("", "not_an_object")]),
        ({"until": "2026-01-01"}, [("since", "required"), ("until", "unknown_field")]),
    ],
)
def test_a_redelivery_refuses_a_wrong_body_by_field(admin, admin_user, body, expected):
    row = WebhookSubscriptionFactory(owner=admin_user)
    failed = WebhookDeliveryFactory(subscription=row, status="failed")
    answer = admin.post(f"/api/v1/webhooks/{row.pk}/redeliver/", body)
    assert answer.status_code == 400
    assert sorted((e["field"], e["code"]) for e in answer.json()["errors"]) == expected
    failed.refresh_from_db()
    assert failed.status == "failed"
