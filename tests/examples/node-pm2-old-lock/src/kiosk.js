const express = require('express')

express()
  .get('/', (req, res) => res.send('open'))
  .listen(process.env.PORT || 5080)
