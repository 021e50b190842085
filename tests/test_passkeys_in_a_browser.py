"""A passkey of a real browser's authenticator: made in the admin site, and signed in by, beside the password
and alone."""

import pytest
from django.db import connections

from backend.routing import make_application
from backend.testing.web import serving
from core.accounts.models import Passkey, Session
from core.accounts.tests.conftest import PASSWORD
from core.notifications.tests.browsing import accessibility_faults, chromium
from tests.admin_site import HOME, sign_in, watched_page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def sign_out(page):
    page.context.clear_cookies()
    page.goto("/admin/")


def by_passkey(page):
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(HOME)


def test_made_and_signed_in_by(make_user, settings, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    boss = make_user("admin", username="boss", is_staff=True)
    problems = []
    with serving(make_application()) as address, chromium() as browser:
        site = f"http://localhost:{address.rpartition(':')[2]}"
        settings.PASSKEY_DOMAIN, settings.PASSKEY_ORIGINS = "localhost", [site]
        page = watched_page(browser, site, problems)
        page.set_default_timeout(60_000)
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        sign_in(page, "boss")
        page.wait_for_url(HOME)
        page.goto("/admin/security/")
        page.get_by_label("Name of the new passkey").fill("Laptop")
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_role("button", name="Add a passkey").click()
        page.locator("#recovery-codes li").first.wait_for()
        assert page.locator("#recovery-codes li").count() == 10
        assert accessibility_faults(page) == []
        [kept] = devtools.send("WebAuthn.getCredentials", made)["credentials"]
        assert (kept["isResidentCredential"], kept["rpId"]) == (True, "localhost")
        sign_out(page)
        by_passkey(page)  # the browser finds it: nothing was typed
        sign_out(page)
        page.get_by_label("Username").fill("boss")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("This code is not right").first.wait_for()
        page.get_by_label("Password").fill(PASSWORD)
        by_passkey(page)
        assert Session.objects.filter(user=boss, second_factor=True).count() == 3
        page.goto("/admin/security/")
        page.get_by_label("Name", exact=True).fill("Old laptop")
        page.get_by_role("button", name="Rename").click()
        page.get_by_text("The passkey has its new name.").first.wait_for()
        assert Passkey.objects.get().name == "Old laptop"
        # A copy of it, which counts from the beginning, is refused with its reason.
        Passkey.objects.update(sign_count=1_000_000)
        sign_out(page)
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.get_by_text("it may have been copied").first.wait_for()
        Passkey.objects.update(sign_count=0)
        by_passkey(page)
        page.goto("/admin/security/")
        page.locator("[data-passkey]").get_by_label("Your password").fill(PASSWORD)
        page.get_by_role("button", name="Remove").click()
        page.get_by_text("The passkey was removed.").first.wait_for()
        # Where people consent for AI clients, too: its page runs this script alone.
        page.goto("/oauth/login")
        page.get_by_role("button", name="Sign in with a passkey").wait_for()
        connections.close_all()
    assert problems == []
    assert not Passkey.objects.exists()
