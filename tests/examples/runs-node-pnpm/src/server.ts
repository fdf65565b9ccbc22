import { serve } from "@hono/node-server";
import { Hono } from "hono";

const app = new Hono();
const greeting: string = "Hello from pnpm";
app.get("/", (context) => context.text(`${greeting}\n`));
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) });
