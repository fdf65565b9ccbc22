const express = require('express')
const tide = require('@harbour/tides')

express().get('/', (req, res) => res.send(tide())).listen(process.env.PORT || 8090)
