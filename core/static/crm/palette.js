// The command palette: Ctrl-K or Cmd-K opens it, arrows choose, Enter opens (with Ctrl or Cmd in a new tab).
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const dialog = document.getElementById("palette");
    if (!dialog) return;
    const input = dialog.querySelector("input");
    const results = document.getElementById("palette-results");
    let asked = null;
    let waiting = 0;
    // The text that the results belong to.
    let found = null;

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
        const text = input.value;
        const address = `${dialog.dataset.url}?${new URLSearchParams({ q: text })}`;
        try {
            const response = await fetch(address, { signal: asked.signal });
            if (!response.ok || response.redirected) throw new Error(response.statusText);
            results.innerHTML = await response.text();
        } catch (error) {
            if (error.name === "AbortError") return;
            results.textContent = dialog.dataset.failed;
        }
        found = text;
        choose(options()[0]);
    }

    // What was found for an older text is not what is meant: the results of this one are waited for.
    async function enter(inNewTab) {
        const text = input.value;
        if (found !== text) {
            clearTimeout(waiting);
            await look();
        }
        const option = chosen();
        if (!option || !dialog.open || found !== text || input.value !== text) return;
        if (inNewTab) window.open(option.href, "_blank", "noopener");
        else location.assign(option.href);
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
        // Arrows and Enter belong to the input method while it composes a word.
        if (event.isComposing) return;
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
            event.preventDefault();
            const every = options();
            choose(every[(every.indexOf(chosen()) + step + every.length) % every.length]);
        } else if (event.key === "Enter") {
            event.preventDefault();
            enter(event.ctrlKey || event.metaKey);
        }
    });
    results.addEventListener("mousemove", (event) => {
        const option = event.target.closest('[role="option"]');
        if (option && option !== chosen()) choose(option);
    });
});
