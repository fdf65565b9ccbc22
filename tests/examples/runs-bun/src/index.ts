import { Hono } from "hono";

const app = new Hono();
app.get("/", (context) => context.text(`Hello from bun ${Bun.version}\n`));
export default { port: process.env.PORT ?? 3000, fetch: app.fetch };
