// Presets a new schedule to the browser's time zone and, once htmx is ready, requests the launch times in it.
const zones = document.getElementById("id_time_zone");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

window.addEventListener("load", () => {
  if (zones.value === own || ![...zones.options].some((option) => option.value === own)) return;
  zones.value = own;
  zones.dispatchEvent(new Event("change", { bubbles: true }));
});
