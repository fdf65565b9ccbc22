const server = Bun.serve({
  port: 4000,
  fetch: () => new Response("Hello from Bun"),
});
console.log(`listening on ${server.url}`);
