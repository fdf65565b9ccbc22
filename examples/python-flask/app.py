"""Example service built by peelbox."""

from importlib.metadata import version

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def index():
    text = f"Hello from python-flask: flask {version('flask')}, werkzeug {version('werkzeug')}\n"
    return text, 200, {"Content-Type": "text/plain; charset=utf-8"}


@app.get("/health")
def health():
    return jsonify(status="ok")
