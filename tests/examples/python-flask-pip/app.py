import os

from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return {"orders": []}


@app.route("/healthz")
def healthz():
    return "ok"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=int(os.environ.get("PORT", 5050)))
