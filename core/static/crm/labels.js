// Select2 makes boxes of its own for drop-downs that search, and gives them no name: they take their label's.
"use strict";

(() => {
    function name(box) {
        const select = box.previousElementSibling;
        const label = select?.getAttribute("aria-label") || select?.labels?.[0]?.textContent.trim().replace(/[*:]$/, "");
        if (!label) return;
        box.querySelectorAll(".select2-selection, .select2-selection__rendered, .select2-search__field").forEach((part) => {
            part.setAttribute("aria-label", label);
            if (part.classList.contains("select2-selection")) part.removeAttribute("aria-labelledby");
        });
    }
    // A moment is written in two inputs below one label, which is the first one's.
    function nameOfLine(input) {
        const label = input.closest(".field-line, .form-row")?.querySelector("label");
        if (label) input.setAttribute("aria-label", label.textContent.trim().replace(/[*:]$/, ""));
    }

    function nameAll() {
        document.querySelectorAll(".select2-container").forEach(name);
        document.querySelectorAll(".vDateField, .vTimeField").forEach((input) => {
            if (!input.labels.length && !input.getAttribute("aria-label")) nameOfLine(input);
        });
    }

    // Select2 is set up by what waits for the page in jQuery's own queue: this stands behind it. Lines that are
    // added to a table of lines bring boxes of their own.
    document.addEventListener("DOMContentLoaded", () => (window.django?.jQuery ? window.django.jQuery(nameAll) : nameAll()));
    document.addEventListener("formset:added", () => setTimeout(nameAll));
})();
