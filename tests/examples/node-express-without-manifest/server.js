const express = require('express');
const fs = require('fs');

const app = express();
app.get('/health', (request, response) => response.send(fs.readdirSync('.').length.toString()));
app.listen(process.env.API_PORT || 4100);
