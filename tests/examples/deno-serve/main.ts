import { Hono } from '@hono/hono';

const app = new Hono();
export default { fetch: app.fetch };
