const Koa = require('koa')
const { beds } = require('@garden/beds')

const app = new Koa()
app.use(async (context) => {
  context.body = beds()
})
app.listen(process.env.PORT || process.env.GARDEN_PORT || 4100)
