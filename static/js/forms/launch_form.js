// The launch form: Enter in a text of one line launches and Shift+Enter breaks the line; text and "None" exclude each other.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches("textarea.line")) return;
  if (event.target.value.includes("\n")) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

document.addEventListener("input", ({ target }) => {
  const field = target.closest(".field");
  const none = field?.querySelector(".none input");
  if (!none) return;
  if (target === none && none.checked) field.querySelector("textarea").value = "";
  else if (target.matches("textarea") && target.value) none.checked = false;
});

// What has to be fixed gets the focus; its links lead to the field, also into a closed section or one that a choice hides.
function show(field) {
  for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  field.focus();
  field.scrollIntoView({ block: "center" });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("#problems a, #preview a, #sentence a");
  const field = link && document.getElementById(link.hash.slice(1));
  if (!field) return;
  event.preventDefault();
  show(field);
});

document.getElementById("problems")?.focus();
