// Shows when the connection is lost: the figures on the page are old then.
"use strict";
(() => {
  const show = (lost) => {
    document.getElementById("lost").hidden = !lost;
    document.body.classList.toggle("stale", lost);
  };
  document.addEventListener("htmx:sseError", () => show(true));
  document.addEventListener("htmx:sseOpen", () => show(false));
})();
