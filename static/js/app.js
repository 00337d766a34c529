// Shared by every page: local times, dialogs, messages for failed requests, and the redirect to the login.
import "./lib/copy.js";
import "./lib/keys.js";
import "./lib/menus.js";
import "./lib/palette.js";
import { showTimes } from "./lib/times.js";
import { toastFor } from "./lib/toasts.js";

document.documentElement.classList.remove("no-script");
showTimes(document);

document.addEventListener("htmx:afterSwap", () => showTimes(document));
document.addEventListener("htmx:responseError", (event) => toastFor(event.detail.xhr.status));
document.addEventListener("htmx:sendError", () => toastFor(0));

// With an expired session the server answers with the login page: navigate to it instead of swapping it in.
document.addEventListener("htmx:beforeSwap", (event) => {
  const arrived = new URL(event.detail.xhr.responseURL || location.href, location.href);
  if (arrived.pathname !== document.body.dataset.login || !arrived.searchParams.has("next")) return;
  event.detail.shouldSwap = false;
  location.reload();
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  const closer = event.target.closest("[data-close-dialog]");
  if (!opener && !closer) return;
  event.preventDefault();
  if (opener) document.getElementById(opener.dataset.dialog).showModal();
  else closer.closest("dialog").close();
});

// Links that open a dialog act as buttons, so the space bar works on them too.
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !event.target.matches("a[role='button']")) return;
  event.preventDefault();
  event.target.click();
});

document.addEventListener("htmx:afterRequest", (event) => event.target.matches("dialog form") && event.target.closest("dialog").close());
