// A new schedule starts in the reader's own time zone; the form then asks for the times in it, once htmx listens.
const zones = document.getElementById("id_time_zone");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

window.addEventListener("load", () => {
  if (zones.value !== "UTC" || ![...zones.options].some((option) => option.value === own)) return;
  zones.value = own;
  zones.dispatchEvent(new Event("change", { bubbles: true }));
});
