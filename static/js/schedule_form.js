// A new schedule starts in the reader's own time zone; the form then shows the times in it.
const zones = document.getElementById("id_time_zone");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (zones.value === "UTC" && [...zones.options].some((option) => option.value === own)) {
  zones.value = own;
  zones.dispatchEvent(new Event("change", { bubbles: true }));
}
