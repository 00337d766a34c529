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
