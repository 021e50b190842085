import logging

from django.core.mail import EmailMultiAlternatives, get_connection

BACKEND = "backend.development.mail_log.EmailBackend"


def mail(body):
    made = EmailMultiAlternatives("Welcome, Ada", body, "crm@crm.example", ["ada@engines.example"])
    made.attach_alternative("<p>never shown</p>", "text/html")
    return made


def test_a_mail_is_a_line_with_recipient_subject_and_text(caplog):
    caplog.set_level(logging.INFO)
    assert get_connection(BACKEND).send_messages([mail("Hello Ada,\n\nwe are glad.\n")]) == 1
    assert caplog.messages == ["Mail to ada@engines.example: Welcome, Ada | Hello Ada, we are glad."]


def test_a_long_mail_is_cut(caplog):
    caplog.set_level(logging.INFO)
    get_connection(BACKEND).send_messages([mail("x" * 201), mail("y" * 200)])
    assert [message.rpartition(" | ")[2] for message in caplog.messages] == ["x" * 199 + "…", "y" * 200]
