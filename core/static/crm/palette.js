// The command palette: Ctrl-K or Cmd-K opens it, arrows choose, Enter opens (with Ctrl or Cmd in a new tab).
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const dialog = document.getElementById("palette");
    if (!dialog) return;
    const input = dialog.querySelector("input");
    const results = document.getElementById("palette-results");
    let asked = null;
    let waiting = 0;

    const options = () => [...results.querySelectorAll('[role="option"]')];
    const chosen = () => results.querySelector('[aria-selected="true"]');

    function choose(option) {
        options().forEach((one, place) => {
            one.id = `palette-option-${place}`;
            one.setAttribute("aria-selected", String(one === option));
        });
        if (option) input.setAttribute("aria-activedescendant", option.id);
        else input.removeAttribute("aria-activedescendant");
        option?.scrollIntoView({ block: "nearest" });
    }

    async function look() {
        asked?.abort();
        asked = new AbortController();
        const address = `${dialog.dataset.url}?${new URLSearchParams({ q: input.value })}`;
        try {
            const response = await fetch(address, { signal: asked.signal });
            if (!response.ok || response.redirected) throw new Error(response.statusText);
            results.innerHTML = await response.text();
        } catch (error) {
            if (error.name === "AbortError") return;
            results.textContent = dialog.dataset.failed;
        }
        choose(options()[0]);
    }

    function open() {
        if (dialog.open) return input.select();
        input.value = "";
        dialog.showModal();
        look();
    }

    document.addEventListener("keydown", (event) => {
        if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
            event.preventDefault();
            open();
        }
    });
    document.addEventListener("click", (event) => {
        if (event.target.closest("[data-palette]")) open();
        else if (event.target === dialog) dialog.close();
    });
    input.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(look, 150);
    });
    input.addEventListener("keydown", (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
            event.preventDefault();
            const every = options();
            choose(every[(every.indexOf(chosen()) + step + every.length) % every.length]);
        } else if (event.key === "Enter") {
            event.preventDefault();
            const found = chosen();
            if (found && (event.ctrlKey || event.metaKey)) window.open(found.href, "_blank", "noopener");
            else if (found) location.assign(found.href);
        }
    });
    results.addEventListener("mousemove", (event) => {
        const option = event.target.closest('[role="option"]');
        if (option && option !== chosen()) choose(option);
    });
});
