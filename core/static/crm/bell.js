// The bell of the admin site: how many notifications are unread, live over the WebSocket while the page is looked at.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const bell = document.getElementById("bell");
    if (!bell) return;
    const count = bell.querySelector(".crm-bell-count");
    const said = document.getElementById("bell-said");
    const FIRST_PAUSE_MS = 2_000, LONGEST_PAUSE_MS = 60_000, SHOWN_MS = 8_000;
    const TOO_MANY = 4429;
    let socket = null;
    let pause = FIRST_PAUSE_MS;
    let waiting = 0;
    let hiding = 0;

    async function ask(parameters) {
        const response = await fetch(`${bell.dataset.url}?${parameters}`);
        // Whoever is signed out is led to the page that signs in.
        if (!response.ok || response.redirected) return null;
        const found = await response.json();
        count.textContent = found.shown;
        count.hidden = !found.unread;
        bell.title = found.label;
        bell.setAttribute("aria-label", found.label);
        return found;
    }

    function show(title) {
        said.textContent = title;
        clearTimeout(hiding);
        hiding = setTimeout(() => said.replaceChildren(), SHOWN_MS);
    }

    async function connect() {
        clearTimeout(waiting);
        if (document.hidden || socket) return;
        let found;
        try {
            found = await ask("ticket=1");
        } catch {
            return again();
        }
        if (!found || socket || document.hidden) return;
        const opened = (socket = new WebSocket(location.origin.replace(/^http/, "ws") + found.url));
        opened.addEventListener("open", () => (pause = FIRST_PAUSE_MS));
        opened.addEventListener("message", (event) => {
            const { event: name, notification } = JSON.parse(event.data);
            if (name !== "notification") return;
            show(notification.title);
            ask("").catch(() => {});
            document.body.dispatchEvent(new CustomEvent("notified"));
        });
        opened.addEventListener("close", (event) => {
            if (socket !== opened) return;
            socket = null;
            if (event.code === TOO_MANY) pause = LONGEST_PAUSE_MS;
            again();
        });
    }

    function again() {
        clearTimeout(waiting);
        waiting = setTimeout(connect, pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }

    function leave() {
        const left = socket;
        socket = null;
        clearTimeout(waiting);
        left?.close();
    }

    // Only the page that is looked at holds a connection: a user may have many pages open.
    document.addEventListener("visibilitychange", () => (document.hidden ? leave() : connect()));
    addEventListener("pagehide", leave);
    addEventListener("pageshow", (event) => event.persisted && connect());
    connect();
});
