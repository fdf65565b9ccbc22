from emmett import App

app = App(__name__)


@app.route("/")
async def index():
    return {"message": "Hello"}
