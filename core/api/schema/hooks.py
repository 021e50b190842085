"""What is said once for the whole document: problems, and which addresses are only second spellings."""

import re
from typing import Any

from core.api.schema.parts import ID, TEXT, array_of, headers, object_of, ref

PROBLEMS = {
    "301": ("Merged", "It was merged into another record, which `Location` and `merged_into` name."),
    "400": ("BadRequest", "The input is wrong; `errors` names each field."),
    "401": ("Unauthorized", "No valid token or API key."),
    "403": ("Forbidden", "You see it, but may not do this."),
    "404": ("NotFound", "There is nothing at this address that you may see."),
    "409": ("Conflict", "The state of the record does not allow this."),
    "412": ("StaleVersion", "`If-Match` names a version that is not the present one."),
    "413": ("TooLarge", "The body is larger than this address takes."),
    "415": ("UnsupportedMediaType", "This address takes another content type."),
    "422": ("IdempotencyKeyReused", "The `Idempotency-Key` was used before with another body."),
    "429": ("TooManyRequests", "Too many requests; wait for the seconds in `Retry-After`."),
}
HEADERS = {
    "ETag": "The version of the record, for `If-Match`.",
    "Idempotency-Replayed": "`true` where this answer is the one of an earlier request with the same key.",
    "Location": "The address of the record, or of the job to follow.",
    "Retry-After": "How many seconds to wait before the next request.",
    "WWW-Authenticate": "How to sign in: `Bearer`.",
}
HEADERS_OF_PROBLEMS = {
    "301": ("Location",),
    "401": ("WWW-Authenticate",),
    "412": ("ETag",),
    "429": ("Retry-After",),
}
PROBLEM = object_of(
    {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "instance": TEXT,
        "request_id": TEXT,
        "errors": array_of(
            object_of({"field": TEXT, "code": TEXT, "message": TEXT}, ("field", "code", "message"))
        ),
        "merged_into": ID,
    },
    ("type", "title", "status", "detail", "request_id"),
) | {"description": "RFC 9457 problem document."}
EXAMPLE = {
    "type": "/problems/invalid",
    "title": "Bad Request",
    "status": 400,
    "detail": "email: Enter a valid e-mail address.",
    "instance": "/api/v1/leads/",
    "request_id": "7f3c0a52e1b84d0c9a6a1f0e5d2b4c11",
    "errors": [{"field": "email", "code": "invalid", "message": "Enter a valid e-mail address."}],
}


def problem_response(status: str) -> dict[str, Any]:
    """A reference to the shared response of this status."""
    return {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"}


def _shared(status: str, description: str) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": ref("Problem")}
    if status == "400":
        media["example"] = EXAMPLE
    shared = {"description": description, "content": {"application/problem+json": media}}
    named = HEADERS_OF_PROBLEMS.get(status)
    return shared | {"headers": headers(*named)} if named else shared


def add_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing hook: the problem document, one response per status, and the headers of answers."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["headers"] = {
        name: {"description": about, "schema": {"type": "string"}} for name, about in HEADERS.items()
    }
    components["responses"] = {name: _shared(status, text) for status, (name, text) in PROBLEMS.items()}
    return result


def drop_unused(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing hook: leave out schemas that nothing points at, such as bodies of what is only read."""
    schemas = result["components"]["schemas"]
    while unused := schemas.keys() - set(re.findall(r"#/components/schemas/(\w+)", str(result))):
        for name in unused:
            del schemas[name]
    return result


def without_second_spellings(endpoints: list[Any], **kwargs: Any) -> list[Any]:
    """Preprocessing hook: `bulk-update` works like `bulk_update`, which is the documented one."""
    documented = {path for path, *_ in endpoints}

    def spelled_again(path: str) -> bool:
        return "-" in path and path.replace("-", "_") in documented

    return [endpoint for endpoint in endpoints if not spelled_again(endpoint[0])]
