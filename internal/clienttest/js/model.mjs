// Writes what the service model of the AWS SDK says of S3's requests: a line for each
// header, query parameter and XML element of an operation's input, for the sweep of
// values in api/. Run: node internal/clienttest/js/model.mjs > testdata/parameters/model.txt
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);
const schemas = load("@aws-sdk/client-s3");
const { version } = load("@aws-sdk/client-s3/package.json");

const OPERATION = 9, STRUCTURE = 3, LIST = 1;
const scalars = { 0: "string", 1: "number", 2: "boolean", 4: "time", 5: "time", 7: "time" };
// What a schema's reference leads to, and what the member says besides.
const resolve = (s) => (typeof s === "function" ? resolve(s()) : s);
const member = (m) => (Array.isArray(m) && m.length === 2 ? [resolve(m[0]), typeof m[1] === "object" ? m[1] : {}] : [resolve(m), {}]);
const typeOf = (s) => (typeof s === "number" ? scalars[s & 63] ?? "string" : "string");

const lines = [];
// Elements of a document, by their path.
function elements(operation, path, schema, seen) {
  const [, , , , names, members, required = 0] = schema;
  names.forEach((name, i) => {
    let [of, traits] = member(members[i]);
    if (traits.httpHeader || traits.httpQuery || traits.xmlAttribute) return;
    let at = `${path}/${traits.xmlName ?? name}`;
    const need = i < required ? "required" : "optional";
    let many = "";
    if (Array.isArray(of) && of[0] === LIST) {
      many = " list";
      let [item, own] = member(of[4]);
      if (!traits.xmlFlattened) {
        lines.push(`${operation} element ${at} structure ${need}`);
        at += `/${own.xmlName ?? "member"}`;
      }
      of = item;
    } else if (typeof of === "number" && of & 64) {
      many = " list";
      of = of & 63;
      if (!traits.xmlFlattened) lines.push(`${operation} element ${at} structure ${need}`), (at += "/member");
    }
    if (Array.isArray(of) && of[0] === STRUCTURE) {
      lines.push(`${operation} element ${at} structure ${need}${many}`);
      if (!seen.includes(of[2])) elements(operation, at, of, [...seen, of[2]]);
    } else {
      lines.push(`${operation} element ${at} ${typeOf(of)} ${need}${many}`);
    }
  });
}

for (const operation of Object.values(schemas).filter((s) => Array.isArray(s) && s[0] === OPERATION)) {
  const name = operation[2], input = resolve(operation[4]);
  if (!Array.isArray(input)) continue;
  const [, , , , names, members, required = 0] = input;
  names.forEach((n, i) => {
    const [of, traits] = member(members[i]);
    const need = i < required ? "required" : "optional";
    if (traits.httpHeader) lines.push(`${name} header ${traits.httpHeader.toLowerCase()} ${typeOf(of)} ${need}`);
    else if (traits.httpPrefixHeaders) lines.push(`${name} header ${traits.httpPrefixHeaders.toLowerCase()} string ${need}`);
    else if (traits.httpQuery) lines.push(`${name} query ${traits.httpQuery} ${typeOf(of)} ${need}`);
    else if (traits.httpPayload && Array.isArray(of) && of[0] === STRUCTURE) elements(name, traits.xmlName ?? n, of, []);
  });
}
console.log(`# Written by internal/clienttest/js/model.mjs from the service model of @aws-sdk/client-s3 ${version}.`);
console.log("# operation, kind, name, type, whether it is required, whether there may be several");
console.log(lines.sort().join("\n"));
