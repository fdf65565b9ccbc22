import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import express from "express";
import { nanoid } from "nanoid";

const { version } = createRequire(import.meta.url)("express/package.json");
const { name } = JSON.parse(readFileSync(new URL("./package.json", import.meta.url)));
const port = Number(process.env.PORT ?? 3000);

const app = express();
app.get("/", (request, response) => {
  response.type("text").send(`Hello from ${name}: express ${version}, request ${nanoid(8)}\n`);
});
app.get("/health", (request, response) => {
  response.json({ status: "ok" });
});

const server = app.listen(port, () => console.log(`${name} listens on port ${port}`));
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => server.close(() => process.exit(0)));
}
