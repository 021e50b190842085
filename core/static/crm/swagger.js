"use strict";

// Swagger UI nests a link in the button of an operation: a plugin in its own terms shows the text alone.
const readable = ({ React }) => ({
  components: { DeepLink: ({ text }) => React.createElement("span", null, text) },
});

// Its choices have no name: they are called by their parameter.
new MutationObserver(() => {
  for (const choice of document.querySelectorAll("select:not([aria-label])")) {
    choice.setAttribute("aria-label", choice.closest("[data-param-name]")?.dataset.paramName ?? "Choice");
  }
}).observe(document, { childList: true, subtree: true });
