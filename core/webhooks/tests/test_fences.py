"""Who lost a delivery to another worker writes nothing about it; one change is one delivery."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from core.changes import ChangeBatch
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.webhooks import claiming, consumer, sending
from core.webhooks.models import WebhookAttempt, WebhookDelivery
from core.webhooks.tests.factories import WebhookDeliveryFactory
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def claimed(admin, peer):
    """The id of a delivery that this worker has claimed."""
    body = {"name": "Test", "url": peer.url(), "events": ["lead.created"]}
    assert admin.post("/api/v1/webhooks/", body).status_code == 201
    LeadFactory(first_name="Grace")
    dispatch()
    (pk,) = claiming.claim(16)
    return pk


def taken_over(**fields):
    """Another worker has the delivery by now: the lease of this one ran out."""
    WebhookDelivery.objects.update(fence=F("fence") + 1, due_at=timezone.now(), **fields)


def test_an_outcome_is_not_recorded_by_who_lost_the_lease(claimed, peer):
    def answer(received):
        taken_over()
        return 200, {}, b""

    peer.answer = answer
    sending.attempt(claimed)
    row = WebhookDelivery.objects.get()
    assert (row.status, row.fence, row.response_status, row.finished_at) == ("sending", 2, None, None)
    assert WebhookAttempt.objects.count() == 0
    assert len(peer.requests) == 1


def test_a_body_is_not_stored_by_who_lost_the_lease(claimed, peer, monkeypatch):
    made = sending.body_of

    def overtaken(delivery):
        taken_over(body="theirs")
        return made(delivery)

    monkeypatch.setattr(sending, "body_of", overtaken)
    sending.attempt(claimed)
    assert WebhookDelivery.objects.get().body == "theirs"


def test_one_change_is_one_delivery_however_often_it_is_fed(claimed):
    ids = list(Change.objects.filter(entity="lead").values_list("pk", flat=True))
    for _ in range(3):
        consumer.consume(ChangeBatch("lead", True, ids))
    row = WebhookDelivery.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        WebhookDeliveryFactory(key=row.key, event=row.event, lane=row.lane)
