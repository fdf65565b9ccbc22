import express from "express";

const app = express();
app.get("/", (request, response) => response.send(`Hello from npm: ${typeof express.Router}\n`));
app.listen(process.env.PORT || 3000);
