// A select with data-redraw decides which inputs stand beside it: the form is sent to be drawn anew, at the same place.
"use strict";

document.addEventListener("change", (event) => {
    const select = event.target.closest("select[data-redraw]");
    if (!select) return;
    const form = select.form;
    const place = select.closest("[id^='actions.'], [id^='conditions'], [id^='rules.'], #when, #actions");
    form.action = place ? `#${place.id}` : "";
    form.requestSubmit(form.querySelector("button[value='draw']"));
});
