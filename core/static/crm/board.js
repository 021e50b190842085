// Moves the cards of a board, or of a calendar, whose columns are days: dragged with the mouse, or with Shift and an arrow key. The server answers with
// the board as it is after the move, whatever became of it.
"use strict";

(() => {
    const form = document.getElementById("board");
    const columns = document.getElementById("board-columns");
    const dialog = document.getElementById("board-ask");
    const answer = document.getElementById("board-answer");
    let dragged = null;

    const cardOf = (element) => element.closest?.(".crm-card");
    const columnOf = (element) => element.closest?.(".crm-column");
    const targets = (card) => {
        const barred = (card?.dataset.barred ?? "").split(" ");
        return [...columns.querySelectorAll(".crm-column[data-target]")].filter((one) => !barred.includes(one.dataset.column));
    };

    function say(text) {
        document.getElementById("board-message").textContent = text;
    }

    async function ask(card, column) {
        const name = card.querySelector("a").textContent.trim();
        document.getElementById("board-ask-title").textContent = `${name} → ${column.dataset.title}`;
        dialog.querySelector("label").textContent = column.dataset.asksTitle;
        const choices = column.dataset.choices.split("\n").filter(Boolean);
        document.getElementById("board-choices").replaceChildren(
            ...choices.map((value) => Object.assign(document.createElement("option"), { value })),
        );
        answer.value = "";
        dialog.returnValue = "";
        dialog.showModal();
        await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
        return dialog.returnValue === "move" ? answer.value : null;
    }

    async function move(card, column) {
        const sent = new FormData(form);
        if (column.dataset.asks) {
            const given = await ask(card, column);
            if (given === null) return card.focus();
            sent.set("answer", given);
        }
        const { id, version } = card.dataset;
        sent.set("id", id);
        sent.set("version", version);
        sent.set("to", column.dataset.column);
        form.setAttribute("aria-busy", "true");
        try {
            const response = await fetch(location.href, { method: "POST", body: sent });
            const { html, message } = await response.json();
            columns.innerHTML = html;
            say(message || `${form.dataset.moved} ${column.dataset.title}`);
        } catch {
            say(form.dataset.failed);
        } finally {
            form.removeAttribute("aria-busy");
        }
        columns.querySelector(`.crm-card[data-id="${id}"]`)?.focus();
    }

    function beside(card, column, step) {
        const every = [...columns.querySelectorAll(".crm-column")];
        if (Math.abs(step) > 1) return every[every.indexOf(column) + step];
        const ahead = step > 0 ? every.slice(every.indexOf(column) + 1) : every.slice(0, every.indexOf(column)).reverse();
        return ahead.find((one) => targets(card).includes(one));
    }

    async function more(button) {
        const column = columnOf(button);
        const address = new URL(location.href);
        address.searchParams.set("column", column.dataset.column);
        address.searchParams.set("after", button.dataset.more);
        const response = await fetch(address);
        if (!response.ok) return say(form.dataset.failed);
        const { html, more: next } = await response.json();
        column.querySelector("ol").insertAdjacentHTML("beforeend", html);
        if (next === null) button.remove();
        else button.dataset.more = next;
    }

    form.addEventListener("submit", (event) => event.preventDefault());
    columns.addEventListener("click", (event) => {
        if (event.target.dataset.more) more(event.target);
    });
    columns.addEventListener("dragstart", (event) => {
        dragged = cardOf(event.target);
        if (!dragged) return;
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", dragged.dataset.id);
        dragged.classList.add("crm-dragged");
    });
    columns.addEventListener("dragend", () => {
        dragged?.classList.remove("crm-dragged");
        targets().forEach((column) => column.classList.remove("crm-over"));
        dragged = null;
    });
    columns.addEventListener("dragover", (event) => {
        const over = columnOf(event.target);
        if (!dragged || !targets(dragged).includes(over)) return;
        event.preventDefault();
        targets().forEach((column) => column.classList.toggle("crm-over", column === over));
    });
    columns.addEventListener("drop", (event) => {
        const column = columnOf(event.target);
        if (!dragged || !targets(dragged).includes(column)) return;
        event.preventDefault();
        if (column !== columnOf(dragged)) move(dragged, column);
    });
    columns.addEventListener("keydown", (event) => {
        const card = cardOf(event.target);
        if (!card || card !== event.target) return;
        if (event.key === "Enter") card.querySelector("a").click();
        // Where columns stand in rows, as the days of a calendar do, up and down lead to the row beside.
        const row = Number(columns.dataset.perRow) || 0;
        const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row }[event.key];
        if (!event.shiftKey || !step || !card.draggable) return;
        event.preventDefault();
        const column = beside(card, columnOf(card), step);
        if (column) move(card, column);
    });
})();
