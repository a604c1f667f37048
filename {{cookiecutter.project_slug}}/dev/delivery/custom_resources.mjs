// Holds custom resources against the schemas of their makers: reads objects as JSON, answers with what is wrong with each.
// Its one argument is the folder that has the packages. A cluster silently drops a field that it does not know, and so do
// these schemas: so what no schema has looked at is told as well.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const packages = {
  "argoproj.io": "argo-rollouts",
  "external-secrets.io": "external-secrets",
  "monitoring.coreos.com": "prometheus-operator",
};

function watched(value, place, seen) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, key) {
      const here = `${place}/${String(key)}`;
      seen.add(here);
      return watched(target[key], here, seen);
    },
  });
}

function* unseen(value, place, seen) {
  if (value === null || typeof value !== "object") return;
  for (const [key, inner] of Object.entries(value)) {
    const here = `${place}/${key}`;
    if (seen.has(here)) yield* unseen(inner, here, seen);
    else yield `${here} is no field`;
  }
}

async function wrong(object) {
  const [group, version] = object.apiVersion.split("/");
  if (!packages[group]) return [`no schema of ${object.apiVersion} ${object.kind}`];
  let Model;
  try {
    const path = join("node_modules", "@kubernetes-models", packages[group], group, version, `${object.kind}.js`);
    Model = (await import(pathToFileURL(join(process.argv[2], path))))[object.kind];
  } catch {
    return [`no schema of ${object.apiVersion} ${object.kind}`];
  }
  const seen = new Set();
  const { apiVersion, kind, metadata, ...rest } = object;
  const known = Object.keys(rest).filter((key) => key !== "spec").map((key) => `/${key} is no field`);
  try {
    // Not of a Model: to make one copies everything, and so looks at everything.
    Model.prototype.validate.call({ apiVersion, kind, metadata, spec: watched(rest.spec, "/spec", seen) });
  } catch (error) {
    return [...known, error.message];
  }
  return [...known, ...unseen(rest.spec, "/spec", seen)];
}

let text = "";
for await (const chunk of process.stdin) text += chunk;
console.log(JSON.stringify(await Promise.all(JSON.parse(text).map(wrong))));
