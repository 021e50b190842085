// A form with data-once is sent once: its buttons do nothing more until the page is there again.
"use strict";

document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!("once" in form.dataset)) return;
    // The button that was pressed is a part of what is sent, and must not be disabled before that is put together.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
});
window.addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form[data-once] button").forEach((button) => { button.disabled = false; });
});
