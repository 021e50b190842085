"""Bodies without a declared length under WSGI servers that say where they end (`wsgi.input_terminated`)."""

import io

from backend.chunked_bodies import with_length


def given(environ):
    """What an application sees of a request."""
    seen = {}

    def application(environ, start_response):
        seen.update(length=environ.get("CONTENT_LENGTH"), body=environ["wsgi.input"].read())
        return [b"done"]

    assert list(with_length(application)(environ, None)) == [b"done"]
    return seen["length"], seen["body"]


def environ(body, path="/api/v1/leads/", **more):
    return {"PATH_INFO": path, "wsgi.input": io.BytesIO(body), **more}


def test_a_chunked_body_is_read_whole_and_has_a_length():
    sent = environ(b"x" * 100_000, **{"wsgi.input_terminated": True})
    assert given(sent) == ("100000", b"x" * 100_000)


def test_no_more_than_one_byte_beyond_the_limit_is_read():
    sent = environ(b"x" * 100_000, "/api/auth/login/", **{"wsgi.input_terminated": True})
    assert given(sent) == ("16385", b"x" * 16_385)


def test_what_declares_its_length_is_passed_on():
    assert given(environ(b"ab", CONTENT_LENGTH="2")) == ("2", b"ab")
    assert given(environ(b"")) == (None, b"")
