"""The page at ``/swagger-ui``: a reference of the API out of its OpenAPI document.

One page without anything from elsewhere: it fetches the document beside it and lists operations by tag
with parameters, bodies and answers. Texts of the document are put in as text, never as markup.
"""

from string import Template

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API reference</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 0; color: #1d2a33; }
  header { padding: 1rem 2rem; background: #103d66; color: #fff; }
  main { max-width: 60rem; margin: 0 auto; padding: 1rem 2rem; }
  input { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; }
  h2 { margin-top: 2rem; }
  details { border-bottom: 1px solid #d8e0e6; }
  summary { cursor: pointer; padding: .4rem 0; overflow-wrap: anywhere; }
  code, pre { font-family: ui-monospace, monospace; font-size: 13px; }
  pre { background: #f3f6f8; padding: .75rem; overflow: auto; }
  .verb { display: inline-block; width: 4.5rem; font-weight: 600; }
  td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }
</style>
</head>
<body>
<header><h1 id="title">API reference</h1></header>
<main>
  <p><input id="filter" type="search" placeholder="Find an operation" aria-label="Find an operation"></p>
  <p id="state">Loading…</p>
  <div id="operations"></div>
</main>
<script>
"use strict";
const make = (tag, text, kind) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
const nameOf = (schema) => {
  if (!schema) return "";
  if (schema.$$ref) return schema.$$ref.split("/").pop();
  if (schema.type === "array") return nameOf(schema.items) + "[]";
  return schema.type || "";
};
const fieldsOf = (document_, schema) => {
  const found = schema && schema.$$ref ? document_.definitions[nameOf(schema)] : schema;
  const lines = Object.entries((found && found.properties) || {}).map(
    ([name, field]) => name + ": " + nameOf(field));
  return lines.length ? make("pre", lines.join("\\n")) : make("p", nameOf(schema));
};
const describe = (document_, operation) => {
  const box = make("div");
  if (operation.description) box.append(make("p", operation.description));
  const parameters = (operation.parameters || []).filter((each) => each.in !== "body");
  if (parameters.length) {
    const table = make("table");
    for (const each of parameters) {
      const row = make("tr");
      row.append(make("td", each.name), make("td", each.in), make("td", each.type || nameOf(each.schema)));
      table.append(row);
    }
    box.append(make("h4", "Parameters"), table);
  }
  const body = (operation.parameters || []).find((each) => each.in === "body");
  if (body) box.append(make("h4", "Body " + nameOf(body.schema)), fieldsOf(document_, body.schema));
  const answer = (operation.responses || {})["200"];
  if (answer) box.append(make("h4", "Answer " + nameOf(answer.schema)), fieldsOf(document_, answer.schema));
  return box;
};
const show = (document_) => {
  document.getElementById("title").textContent = document_.info.title + " " + document_.info.version;
  const byTag = new Map();
  for (const [path, verbs] of Object.entries(document_.paths))
    for (const [verb, operation] of Object.entries(verbs)) {
      const tag = (operation.tags || ["other"])[0];
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push([verb.toUpperCase(), path, operation]);
    }
  const list = document.getElementById("operations");
  for (const [tag, operations] of [...byTag].sort()) {
    const section = make("section");
    section.append(make("h2", tag));
    for (const [verb, path, operation] of operations) {
      const details = make("details");
      const summary = make("summary");
      summary.append(make("span", verb, "verb"), make("code", path));
      summary.append(make("span", " " + (operation.summary || "")));
      details.append(summary);
      details.dataset.text = (verb + " " + path + " " + (operation.operationId || "")).toLowerCase();
      details.addEventListener("toggle", () => {
        if (details.open && details.children.length === 1) details.append(describe(document_, operation));
      });
      section.append(details);
    }
    list.append(section);
  }
  document.getElementById("state").remove();
};
document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const each of document.querySelectorAll("details")) each.hidden = !each.dataset.text.includes(wanted);
});
fetch("$document").then((answer) => {
  if (!answer.ok) throw new Error("status " + answer.status);
  return answer.json();
}).then(show).catch((error) => {
  document.getElementById("state").textContent = "The document could not be read: " + error.message;
});
</script>
</body>
</html>
""")


def reference_page(document: str) -> str:
    """The page; ``document`` is the relative address of the OpenAPI document (a constant of ours)."""
    return _PAGE.substitute(document=document)
