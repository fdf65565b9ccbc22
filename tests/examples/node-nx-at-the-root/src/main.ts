import express from 'express'

const port = process.env.PORT ? Number(process.env.PORT) : 3333
express()
  .get('/', (_, res) => res.send('acorn'))
  .listen(port, '0.0.0.0')
