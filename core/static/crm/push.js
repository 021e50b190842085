// Switches web push on and off for this browser, on the page of notifications.
"use strict";

document.addEventListener("DOMContentLoaded", async () => {
    const part = document.getElementById("push");
    if (!part || !("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) return;
    const words = part.dataset;
    const status = part.querySelector('[role="status"]');
    const buttons = Object.fromEntries([...part.querySelectorAll("[data-do]")].map((one) => [one.dataset.do, one]));
    const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const SCOPE = "/push";

    const bytes = (base64url) => {
        const text = atob(base64url.replace(/-/g, "+").replace(/_/g, "/"));
        return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    };

    async function send(values) {
        const body = new URLSearchParams({ csrfmiddlewaretoken: token, ...values });
        const response = await fetch(words.url, { method: "POST", body });
        if (!response.ok || response.redirected) throw new Error(response.statusText);
    }

    // This page is not below the worker's scope, so that `ready` waits for another one.
    async function activated({ active, waiting, installing }) {
        const worker = active ?? waiting ?? installing;
        if (worker.state === "activated") return;
        await new Promise((done) => worker.addEventListener("statechange", () => worker.state === "activated" && done()));
    }

    async function subscription() {
        const registration = await navigator.serviceWorker.getRegistration(SCOPE);
        return registration && registration.pushManager.getSubscription();
    }

    async function show() {
        const isOn = Boolean(await subscription());
        const isBarred = Notification.permission === "denied";
        status.textContent = isBarred ? words.barred : isOn ? words.on : words.off;
        buttons.on.hidden = isOn || isBarred;
        buttons.test.hidden = buttons.off.hidden = !isOn;
    }

    const work = {
        async on() {
            if ((await Notification.requestPermission()) !== "granted") return;
            const { key } = await (await fetch(`${words.liveUrl}?push=1`)).json();
            const registration = await navigator.serviceWorker.register("/push/worker.js", { scope: SCOPE });
            await activated(registration);
            const made = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
            await send({ do: "subscribe", subscription: JSON.stringify(made.toJSON()) });
        },
        async test() {
            await send({ do: "test" });
            return words.sent;
        },
        async off() {
            const made = await subscription();
            if (!made) return;
            await send({ do: "unsubscribe", endpoint: made.endpoint });
            await made.unsubscribe();
        },
    };

    part.addEventListener("click", async (event) => {
        const does = event.target.closest("[data-do]")?.dataset.do;
        if (!does) return;
        try {
            const text = await work[does]();
            await show();
            if (text) status.textContent = text;
        } catch {
            status.textContent = words.failed;
        }
    });
    part.hidden = false;
    await show();
});
