export default {
  fetch: (request: Request) => new Response(`Hello ${new URL(request.url).pathname}`),
};
