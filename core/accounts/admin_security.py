"""The page Security of the admin site: one's own passkeys, and what else one signs in by."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from core.accounts import cookies, passkeys, second_factor
from core.accounts.models import Passkey, Session
from core.accounts.origin import origin_of
from core.changes import audit_context
from core.errors import DomainError, NotVisibleError

NAME_LENGTH = 80


def page(request: HttpRequest) -> HttpResponse:
    """Show them; or do what a form of the page asks for, and show what was refused."""
    if request.method != "POST":
        return _shown(request, [])
    does = request.POST.get("do", "")
    try:
        with audit_context(request.user, source="admin", request_id=getattr(request, "request_id", "")):
            return _VERBS.get(does, _unknown)(request)
    except DomainError as error:
        message = " ".join(issue.message for issue in getattr(error, "issues", [])) or error.message
        if does in ("options", "proof_options"):
            return JsonResponse({"detail": message}, status=400)
        messages.error(request, message)
    return HttpResponseRedirect(request.path)


def _proof_options(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"publicKey": passkeys.sign_in_options(passkeys.SECOND_FACTOR, _user(request))})


def _options(request: HttpRequest) -> HttpResponse:
    _prove(request)
    return JsonResponse({"publicKey": passkeys.registration_options(_user(request))})


def _add(request: HttpRequest) -> HttpResponse:
    credential = passkeys.read(request.POST.get("credential", ""))
    row, codes = passkeys.register(_user(request), credential, _name(request), _session(request))
    messages.success(request, _("The passkey “%(name)s” was added.") % {"name": row.name})
    # Recovery codes are shown by this answer alone.
    return _shown(request, codes) if codes else HttpResponseRedirect(request.path)


def _rename(request: HttpRequest) -> HttpResponse:
    passkeys.rename(_user(request), _pk(request), _name(request))
    messages.success(request, _("The passkey has its new name."))
    return HttpResponseRedirect(request.path)


def _remove(request: HttpRequest) -> HttpResponse:
    _prove(request)
    passkeys.remove(_user(request), _pk(request))
    messages.success(request, _("The passkey was removed."))
    return HttpResponseRedirect(request.path)


def _unknown(request: HttpRequest) -> HttpResponse:
    raise NotVisibleError("Not found.")


_VERBS = {
    "options": _options,
    "proof_options": _proof_options,
    "add": _add,
    "rename": _rename,
    "remove": _remove,
}


def _prove(request: HttpRequest) -> None:
    answer = request.POST.get("proof", "")
    given = passkeys.GivenProof(
        request.POST.get("current_password", ""),
        request.POST.get("code", "")[:40].strip(),
        passkeys.read(answer) if answer else None,
    )
    passkeys.prove_owner(_user(request), given, _session(request), origin_of(request))


def _shown(request: HttpRequest, codes: list[str]) -> HttpResponse:
    user = _user(request)
    context = {
        **admin.site.each_context(request),
        "title": _("Security"),
        "passkeys": Passkey.objects.filter(user=user),
        "configured": passkeys.is_configured(),
        "state": second_factor.state(user),
        "has_password": user.has_usable_password(),
        "recovery_codes": codes,
    }
    return TemplateResponse(request, "accounts/security.html", context)


def _user(request: HttpRequest) -> Any:
    return request.user


def _session(request: HttpRequest) -> Session | None:
    """The row of the cookie."""
    pk = request.session.get(cookies.NAME)
    return Session.objects.filter(pk=pk, user=_user(request)).first() if pk is not None else None


def _name(request: HttpRequest) -> str:
    return request.POST.get("name", "").replace("\x00", "").strip()[:NAME_LENGTH] or _("Passkey")


def _pk(request: HttpRequest) -> int:
    """Raises NotVisibleError."""
    text = request.POST.get("passkey", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotVisibleError("Not found.")
    return int(text)
