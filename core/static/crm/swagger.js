"use strict";

// Swagger UI nests a link in the button of an operation: a plugin in its own terms shows the text alone.
const readable = ({ React }) => ({
  components: { DeepLink: ({ text }) => React.createElement("span", null, text) },
});

// Its inputs have no names: they are called by their parameter, and what folds a schema by what it does.
const NAMELESS = "select:not([aria-label]), textarea:not([aria-label]), input:not([aria-label], [id])";
new MutationObserver(() => {
  for (const input of document.querySelectorAll(NAMELESS)) {
    const name = input.closest("[data-param-name], [data-property-name]")?.dataset;
    const body = input.closest(".opblock-section-request-body") ? "Request body" : "Choice";
    input.setAttribute("aria-label", name?.paramName ?? name?.propertyName ?? body);
  }
  for (const button of document.querySelectorAll(".json-schema-2020-12-accordion:not([aria-label])")) {
    if (!button.textContent.trim()) button.setAttribute("aria-label", "Fold or unfold the schema");
  }
  for (const example of document.querySelectorAll(".highlight-code > .microlight:not([tabindex])")) {
    example.tabIndex = 0; // it scrolls: with the keyboard too
  }
}).observe(document, { childList: true, subtree: true });
