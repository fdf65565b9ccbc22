const Koa = require("koa");

const app = new Koa();
app.use((context) => {
  context.body = "Hello from yarn\n";
});
app.listen(process.env.PORT || 3000);
