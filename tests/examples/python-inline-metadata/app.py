# /// script
# requires-python = ">=3.12"
# dependencies = [
#   "bottle>=0.13",
#   "qrcode",
# ]
# ///
import bottle
import qrcode

app = bottle.Bottle()


@app.get('/')
def index():
    return 'codes'


if __name__ == '__main__':
    app.run(host='0.0.0.0', port=9080)
