// Passkeys: signing in by one ([data-passkey-login]) and making one ([data-passkey-new]).
"use strict";

const passkeys = {
    bytes(text) {
        const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
        return Uint8Array.from(binary, (character) => character.charCodeAt(0));
    },
    text(buffer) {
        const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
        return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
    },
    // What the server wrote, with the bytes that the browser wants.
    options(given) {
        const described = (list) => list && list.map((one) => ({ ...one, id: passkeys.bytes(one.id) }));
        const options = { ...given, challenge: passkeys.bytes(given.challenge) };
        if (given.user) options.user = { ...given.user, id: passkeys.bytes(given.user.id) };
        if (given.allowCredentials) options.allowCredentials = described(given.allowCredentials);
        if (given.excludeCredentials) options.excludeCredentials = described(given.excludeCredentials);
        return options;
    },
    // What the browser made, as text.
    written(credential) {
        const response = {};
        for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
            if (credential.response[name]) response[name] = passkeys.text(credential.response[name]);
        }
        const id = passkeys.text(credential.rawId);
        return JSON.stringify({ id, rawId: id, type: credential.type, response });
    },
    async asked(address, init) {
        const answer = await fetch(address, { method: "POST", credentials: "same-origin", ...init });
        const body = await answer.json();
        if (!answer.ok) throw new Error(body.detail);
        return passkeys.options(body.publicKey);
    },
};

function signInByPasskey(box) {
    const form = document.getElementById(box.dataset.form);
    const status = box.querySelector("[role=status]");
    box.querySelector("button").addEventListener("click", async () => {
        status.textContent = "";
        const asks = {};
        const { username, password } = form.elements;
        // Beside a password it is the second proof.
        if (username.value && password.value)
            Object.assign(asks, { purpose: "second_factor", username: username.value, password: password.value });
        else password.value = "";
        try {
            const headers = { "Content-Type": "application/json" };
            const publicKey = await passkeys.asked(box.dataset.passkeyLogin, { headers, body: JSON.stringify(asks) });
            form.elements.passkey.value = passkeys.written(await navigator.credentials.get({ publicKey }));
        } catch {
            status.textContent = status.dataset.failed;
            return;
        }
        form.submit();
    });
    box.hidden = false;
}

// Where a second factor is on and no code was typed, a passkey of now proves it.
async function prove(form) {
    if (!form.elements.proof || form.elements.code.value) return;
    const body = new FormData(form);
    body.set("do", "proof_options");
    const publicKey = await passkeys.asked(form.action, { body });
    form.elements.proof.value = passkeys.written(await navigator.credentials.get({ publicKey }));
}

function removePasskey(form) {
    form.elements.code.required = false;
    const status = form.querySelector("[role=status]");
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        status.textContent = "";
        try {
            await prove(form);
        } catch (error) {
            status.textContent = error instanceof DOMException ? status.dataset.failed : error.message;
            return;
        }
        form.submit();
    });
}

function makePasskey(form) {
    const status = form.querySelector("[role=status]");
    if (form.elements.code) form.elements.code.required = false;
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        status.textContent = "";
        try {
            await prove(form);
            const body = new FormData(form);
            body.set("do", "options");
            const publicKey = await passkeys.asked(form.action, { body });
            form.elements.credential.value = passkeys.written(await navigator.credentials.create({ publicKey }));
        } catch (error) {
            // The browser's own reasons are in no language of ours.
            status.textContent = error instanceof DOMException ? status.dataset.failed : error.message;
            return;
        }
        form.elements.current_password.value = "";
        form.submit();
    });
    form.hidden = false;
}

document.addEventListener("DOMContentLoaded", () => {
    if (!window.PublicKeyCredential) return;
    document.querySelectorAll("[data-passkey-login]").forEach(signInByPasskey);
    document.querySelectorAll("[data-passkey-new]").forEach(makePasskey);
    document.querySelectorAll("[data-passkey-remove]").forEach(removePasskey);
});
