import { readFileSync } from "node:fs";

// version prints which client is tested; not all packages export their package.json.
export function version(name) {
  const url = new URL(`node_modules/${name}/package.json`, import.meta.url);
  console.log(name, JSON.parse(readFileSync(url, "utf8")).version);
}
