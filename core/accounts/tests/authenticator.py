"""An authenticator in software: it answers options of `navigator.credentials` as a browser would."""

import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

FLAG = AuthenticatorData.FLAG


class Authenticator:
    """One key, which counts what it signs."""

    def __init__(self, origin="http://localhost:8000"):
        self.origin = origin
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.counter = 0
        self.user_handle = b""

    def create(self, options, *, origin=None):
        """The answer to the options of a registration."""
        self.user_handle = websafe_decode(options["user"]["id"])
        public = ES256.from_cryptography_key(self.key.public_key())
        credential = AttestedCredentialData.create(bytes(16), self.id, public)
        data = AuthenticatorData.create(
            sha256(options["rp"]["id"].encode()), FLAG.UP | FLAG.UV | FLAG.AT, self.counter, credential
        )
        client = CollectedClientData.create("webauthn.create", options["challenge"], origin or self.origin)
        made = AttestationObject.create("none", data, {})
        return self._answer(clientDataJSON=client, attestationObject=made)

    def get(self, options, *, origin=None, verified=True, count=True, cross_origin=False):
        """The answer to the options of a sign-in."""
        self.counter += count
        flags = FLAG.UP | FLAG.UV if verified else FLAG.UP
        data = AuthenticatorData.create(sha256(options["rpId"].encode()), flags, self.counter)
        client = CollectedClientData.create(
            "webauthn.get", options["challenge"], origin or self.origin, cross_origin
        )
        signature = self.key.sign(bytes(data) + client.hash, ec.ECDSA(hashes.SHA256()))
        return self._answer(
            clientDataJSON=client, authenticatorData=data, signature=signature, userHandle=self.user_handle
        )

    def _answer(self, **response):
        written = websafe_encode(self.id)
        texts = {name: websafe_encode(bytes(value)) for name, value in response.items()}
        return {"id": written, "rawId": written, "type": "public-key", "response": texts}
