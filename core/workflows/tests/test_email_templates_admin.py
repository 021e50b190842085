"""E-mail templates are written, looked at and tried in the admin site."""

import pytest

from core.accounts.tests.factories import UserFactory
from core.admin.tests.forms import filled_in
from core.mail.models import EmailMessage, EmailTemplate
from core.mail.tests.factories import EmailTemplateFactory

pytestmark = pytest.mark.django_db
LIST = "/admin/core/emailtemplate/"


@pytest.fixture
def boss(client):
    made = UserFactory(admin=True, is_staff=True, username="boss")
    client.force_login(made)
    return made


def test_a_template_is_written_and_its_faults_stand_at_their_fields(client, boss):
    page = client.get(f"{LIST}add/")
    wrong = filled_in(
        page, key="hello", name="Hello", entity="lead", subject="Hi {{ lead.nonsense }}", text="x"
    )
    answer = client.post(f"{LIST}add/", wrong)
    assert list(answer.context["adminform"].form.errors) == ["subject"]
    assert EmailTemplate.objects.count() == 0
    answer = client.post(f"{LIST}add/", wrong | {"subject": "Hi {{ lead.first_name }}"})
    assert answer.status_code == 302
    made = EmailTemplate.objects.get()
    assert (made.subject, made.created_by) == ("Hi {{ lead.first_name }}", boss)
    url = f"{LIST}{made.pk}/change/"
    page = client.get(url)
    EmailTemplate.objects.filter(pk=made.pk).update(name="Theirs")
    answer = client.post(url, filled_in(page, name="Mine"))
    assert "Somebody else saved this template since you opened it." in answer.content.decode()
    assert client.post(url, filled_in(client.get(url), name="Mine")).status_code == 302
    made.refresh_from_db()
    assert made.name == "Mine"


def test_a_mail_is_looked_at_and_sent_to_oneself(client, boss, make_lead):
    lead = make_lead(first_name="Ada")
    template = EmailTemplateFactory(
        entity="lead", subject="Hi {{ lead.first_name }}", text="Dear {{ lead.first_name }}"
    )
    url = f"{LIST}{template.pk}/preview/"
    asked = {"verb_sent": "1", "entity": "lead", "record": lead.pk}
    mail = client.post(url, asked).context["mail"]["parts"]
    assert (mail["subject"], mail["text"]) == ("Hi Ada", "Dear Ada")
    assert EmailMessage.objects.count() == 0
    client.post(url, asked | {"send": "1"})
    made = EmailMessage.objects.get()
    assert (made.to, made.subject, made.sender_id, made.status) == ([boss.email], "Hi Ada", boss.pk, "queued")
    assert client.post(url, asked | {"record": lead.pk + 99}).context["mail"] is None


def test_who_does_not_write_automation_only_reads(client, make_lead):
    rep = UserFactory(is_staff=True)
    client.force_login(rep)
    template = EmailTemplateFactory(entity="lead", subject="Hi {{ lead.first_name }}", text="x")
    lead = make_lead(user=rep)
    assert client.get(f"{LIST}{template.pk}/change/").status_code == 200
    assert client.post(f"{LIST}{template.pk}/change/", {"name": "Mine"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    asked = {"verb_sent": "1", "entity": "lead", "record": lead.pk, "send": "1"}
    assert client.post(f"{LIST}{template.pk}/preview/", asked).status_code == 404
    template.refresh_from_db()
    assert (template.name != "Mine", EmailMessage.objects.count()) == (True, 0)
