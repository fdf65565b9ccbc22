const Koa = require("koa");
const { greeting } = require("@runs/words");

const app = new Koa();
app.use((context) => {
  context.body = `${greeting}: api\n`;
});
app.listen(process.env.PORT || 4000);
