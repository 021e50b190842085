"use strict";

// ReDoc makes some of its style elements before it is given the nonce, and shows a picture of another server:
// the former get the nonce of this script, the latter stays out.
{
  const nonce = document.currentScript.nonce;
  const create = document.createElement.bind(document);
  document.createElement = (name, options) => {
    const element = create(name, options);
    if (name === "style") element.nonce = nonce;
    return element;
  };
  const src = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
  const ours = (address) => (new URL(address, location.href).origin === location.origin ? address : "data:,");
  const setAttribute = HTMLImageElement.prototype.setAttribute;
  HTMLImageElement.prototype.setAttribute = function (key, value) {
    setAttribute.call(this, key, key === "src" ? ours(value) : value);
  };
  Object.defineProperty(HTMLImageElement.prototype, "src", {
    ...src,
    set(address) {
      src.set.call(this, ours(address));
    },
  });
}
