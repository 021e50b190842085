"""Files sent over HTTP."""

import json

from django.core.files.uploadedfile import SimpleUploadedFile


def upload(client, text, resource="leads", name="leads.csv", path="", **form):
    """The answer to an import of `text`; `form` are its options."""
    content = text if isinstance(text, bytes) else text.encode()
    data = {k: v if isinstance(v, str) else json.dumps(v) for k, v in form.items()}
    return client.post(
        f"/api/v1/import/{resource}/{path}",
        data | {"file": SimpleUploadedFile(name, content, "text/csv")},
        format="multipart",
    )
