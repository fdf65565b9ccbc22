import os

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from sqlalchemy import create_engine, text

app = FastAPI()
engine = create_engine("sqlite:///notes.db")
greeting = "nobody"


@app.get("/", response_class=PlainTextResponse)
def index():
    with engine.begin() as connection:
        connection.execute(text("insert into notes (text) values ('x')"))
        count = connection.execute(text("select count(*) from notes")).scalar()
    return f"Hello from {greeting}: {count} note"


@app.get("/healthz")
def health():
    return "well"


def main():
    global greeting
    greeting = "notes-serve"
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "8400")))
