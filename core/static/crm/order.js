// Lines that are put into their order: dragged with the mouse, moved with Alt and an arrow key, or by their buttons.
// The form keeps the order of its lines and is saved by its own button.
"use strict";

(() => {
    const form = document.getElementById("order");
    const lineOf = (element) => element.closest?.(".crm-order > li[draggable]");
    let dragged = null;

    function say(line) {
        const place = [...line.parentElement.children].indexOf(line) + 1;
        const name = line.querySelector(".crm-order-name").textContent;
        document.getElementById("order-message").textContent = `${name} ${form.dataset.moved} ${place}.`;
    }

    function step(line, by) {
        const beside = by < 0 ? line.previousElementSibling : line.nextElementSibling;
        if (!beside) return;
        const focused = document.activeElement;
        if (by < 0) beside.before(line);
        else beside.after(line);
        focused.focus();
        say(line);
    }

    form.addEventListener("click", (event) => {
        const button = event.target.closest("button[data-step]");
        if (!button) return;
        event.preventDefault();
        step(lineOf(button), Number(button.dataset.step));
    });
    form.addEventListener("keydown", (event) => {
        const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        const line = lineOf(event.target);
        if (!event.altKey || !by || !line) return;
        event.preventDefault();
        step(line, by);
    });
    form.addEventListener("dragstart", (event) => {
        dragged = lineOf(event.target);
        if (!dragged) return;
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", dragged.id);
        dragged.classList.add("crm-dragged");
    });
    form.addEventListener("dragover", (event) => {
        const over = lineOf(event.target);
        if (!dragged || dragged.parentElement !== event.target.closest(".crm-order")) return;
        event.preventDefault();
        if (!over || over === dragged) return;
        const middle = over.getBoundingClientRect().top + over.offsetHeight / 2;
        if (event.clientY < middle) over.before(dragged);
        else over.after(dragged);
    });
    form.addEventListener("drop", (event) => event.preventDefault());
    form.addEventListener("dragend", () => {
        if (!dragged) return;
        dragged.classList.remove("crm-dragged");
        say(dragged);
        dragged = null;
    });
})();
