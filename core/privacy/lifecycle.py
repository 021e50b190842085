"""The life of a request: asked for, worked on step by step, ended, and what was asked for forgotten."""

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from core import jobs
from core.conf import conf
from core.entities.locks import PRIVACY_FILE, try_lock
from core.errors import ConflictError, DomainError, NotVisibleError
from core.privacy.models import PrivacyRequest
from core.privacy.subject import AskedSubject, asked_from, found_from

log = logging.getLogger(__name__)
RUN_JOB = "core.tasks.run_privacy_request"
Status = PrivacyRequest.Status
CANCELLED = "It was cancelled. What was erased until then stays erased."
GIVEN_UP = "A step failed {} times; the last reason: {}. What was erased until then stays erased."
KILLED = "the process was killed, or did not come to its end"
FORGOTTEN = "Another erasure took whom this request named; ask again if something is left."
OTHERS_FOUND = (
    "Not the records that the dry run found, as they were then ({}): run it dry again, and look at them."
)
NO_FILE = gettext_noop("There is no file (any more).")
MAX_ATTEMPTS = 5


class OthersFoundError(DomainError):
    """Who is found now is not who was found by the dry run."""

    code = "others_found"


def begin(
    kind: str,
    asked: AskedSubject,
    user: Any,
    *,
    dry_run: bool = False,
    seen: PrivacyRequest | None = None,
) -> PrivacyRequest:
    """A stored request, enqueued; an erasure of what was `seen` of a dry run, and of nothing else."""
    request = PrivacyRequest.objects.create(
        kind=kind,
        dry_run=dry_run,
        subject=asked.as_json(),
        requested_by_id=getattr(user, "pk", None),
        progress={"expected": _records(seen)} if seen else {},
    )
    jobs.enqueue(RUN_JOB, request.pk)
    return request


def _records(request: PrivacyRequest) -> list[tuple[str, int, int | None]]:
    """The records that a request found, each with its version or, of one that is gone, None."""
    found = found_from(request.found)
    versions = {(entity, pk): version for entity, pk, version in found.versions}
    return [(entity, pk, versions.get((entity, pk))) for entity, pk in sorted(found.records)]


def ensure_expected(request: PrivacyRequest) -> None:
    """Raises OthersFoundError where other records were found than the dry run showed, or they are changed."""
    if "expected" not in request.progress:
        return
    differ = {tuple(one) for one in request.progress["expected"]} ^ set(_records(request))
    if differ:
        shown = sorted({f"{entity}:{pk}" for entity, pk, _ in differ})
        raise OthersFoundError(OTHERS_FOUND.format(", ".join(shown[:20])))


def enqueue(request_id: int) -> None:
    jobs.enqueue(RUN_JOB, request_id)


def locked(request_id: int) -> PrivacyRequest | None:
    """The open request under its lock, as running; None where another works on it or it has ended."""
    rows = PrivacyRequest.objects.select_for_update(skip_locked=True)
    request = rows.filter(pk=request_id, status__in=PrivacyRequest.OPEN).first()
    if request is not None:
        request.status = Status.RUNNING
        request.started_at = request.started_at or timezone.now()
    return request


def begin_step(request_id: int) -> bool:
    """Count the step before it is done, so that one that kills its worker is not begun for ever; false where
    another works on the request, or writes its file (`try_writing`), or it has ended, or ends with this."""
    with transaction.atomic():
        request = locked(request_id) if try_writing(request_id) else None
        if request is None:
            return False
        if request.attempt >= MAX_ATTEMPTS:
            end(
                request,
                Status.FAILED,
                GIVEN_UP.format(request.attempt, request.progress.get("reason", KILLED)),
            )
            return False
        request.attempt += 1
        request.save(update_fields=["attempt", "status", "started_at"])
        return True


def try_writing(request_id: int) -> bool:
    """Have the request's file alone until the transaction ends."""
    return try_lock(PRIVACY_FILE, str(request_id))


def fail_step(request_id: int, error: BaseException) -> None:
    """Keep why a step failed, and have the next one look at fewer rows; it is begun again by the sweep, some
    times (`begin_step`). The log has the cause without the statement's values."""
    log.error("a step of privacy request %s failed: %s", request_id, type(error).__name__)
    with transaction.atomic():
        request = locked(request_id)
        if request is not None:
            request.progress |= {
                "reason": type(error).__name__,
                "smaller": request.progress.get("smaller", 0) + 1,
            }
            request.save(update_fields=["progress"])


def stop_reason(request: PrivacyRequest) -> tuple[str, str] | None:
    """The status and message with which it has to end instead of going on."""
    if request.cancel_requested:
        return Status.CANCELLED, CANCELLED
    return None if asked_from(request.subject).names_somebody else (Status.FAILED, FORGOTTEN)


def end(request: PrivacyRequest, status: str, message: str = "") -> str:
    """Store how it ended. Who was erased is forgotten at once; who was exported, or would have been erased,
    after PRIVACY_HOURS."""
    request.status, request.message, request.finished_at = status, message, timezone.now()
    written = request.progress.get("file")
    if written and written != request.stored_as:
        # By a worker that was killed before it could say so.
        _delete_file(written)
    request.progress = {}
    if request.kind == PrivacyRequest.Kind.ERASE and not request.dry_run and status == Status.FINISHED:
        request.subject, request.found = {}, {}
    else:
        request.expires_at = timezone.now() + timedelta(hours=conf.PRIVACY_HOURS)
    request.save()
    return status


def _delete_file(name: str) -> None:
    """Once the transaction is committed: a row that is put back has its file."""
    transaction.on_commit(partial(default_storage.delete, name), robust=True)


def open_file(request: PrivacyRequest) -> File:
    """The file of an export. Raises NotVisibleError."""
    if not request.stored_as:
        raise NotVisibleError(gettext(NO_FILE))
    try:
        return default_storage.open(request.stored_as)
    except FileNotFoundError as error:
        raise NotVisibleError(gettext(NO_FILE)) from error


def forget_others(request: PrivacyRequest) -> int:
    """Empty the other requests about the person who was erased, with their files; open ones fail. Returns how
    many."""
    mine, emptied = _named(request), 0
    others = PrivacyRequest.objects.select_for_update().exclude(pk=request.pk).exclude(subject={})
    for other in others.order_by("pk"):
        held = found_from(other.found).held_values
        if not (_named(other) | held) & mine:
            continue
        if other.stored_as:
            _delete_file(other.stored_as)
        if other.is_open:
            end(other, Status.FAILED, FORGOTTEN)
        other.subject, other.found, other.stored_as, other.size = {}, {}, "", 0
        other.save(update_fields=["subject", "found", "stored_as", "size"])
        emptied += 1
    return emptied


def _named(request: PrivacyRequest) -> set[Any]:
    """The addresses, numbers and records of a request: asked for, or found and nobody else's."""
    asked, found = asked_from(request.subject), found_from(request.found)
    return {*asked.emails, *asked.phones, *asked.records, *found.records, *found.emails, *found.phones}


def cancel(request: PrivacyRequest) -> None:
    """Ask for its end, between two of its steps. Raises ConflictError for one that has ended."""
    rows = PrivacyRequest.objects.filter(pk=request.pk, status__in=PrivacyRequest.OPEN)
    if not rows.update(cancel_requested=True):
        raise ConflictError(gettext("This request has ended already."), code="ended")
    jobs.enqueue(RUN_JOB, request.pk)


def open_requests() -> list[int]:
    rows = PrivacyRequest.objects.filter(status__in=PrivacyRequest.OPEN)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def sweep() -> int:
    """Enqueue open requests again, and forget what is past its time. Returns how many were enqueued."""
    forget_expired()
    waiting = open_requests()
    for pk in waiting:
        jobs.enqueue(RUN_JOB, pk)
    return len(waiting)


def forget_expired() -> int:
    """Delete the files of exports past their time, and who was meant."""
    expired = PrivacyRequest.objects.filter(expires_at__lt=timezone.now()).exclude(subject={})
    for request in expired:
        if request.stored_as:
            default_storage.delete(request.stored_as)
        request.stored_as, request.subject, request.found = "", {}, {}
        request.save(update_fields=["stored_as", "subject", "found"])
    return len(expired)
