// Has the API's page show responses as they are sent: parsing them as JSON would round large integers.
function indented(text) {
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return text.replace(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[{[]|[}\]]|[,:]|\s+/g, (token) => {
    if (token === "{" || token === "[") return token + ((depth += 1), line());
    if (token === "}" || token === "]") return ((depth -= 1), line()) + token;
    if (token === ",") return token + line();
    if (token === ":") return ": ";
    return token.startsWith('"') || /^[{[]/.test(token) ? token : "";
  });
}

function ExactNumbers(system) {
  const { createElement } = system.React;
  const exactly = (Original) => (props) =>
    /json/i.test(props.contentType ?? "")
      ? createElement(Original, { ...props, content: indented(props.content ?? ""), contentType: "text/plain" })
      : createElement(Original, props);
  return { wrapComponents: { responseBody: exactly } };
}

const page = document.body.dataset;
window.SwaggerUIBundle({
  ...JSON.parse(document.getElementById("swagger-settings").textContent),
  dom_id: "#swagger-ui",
  presets: [window.SwaggerUIBundle.presets.apis, window.SwaggerUIBundle.SwaggerUIStandalonePreset],
  plugins: [ExactNumbers],
  requestInterceptor: (request) => {
    if (page.csrfToken) request.headers["X-CSRFToken"] = page.csrfToken;
    return request;
  },
});
