from flask import Flask


class Attic(Flask):
    """With folders of its own."""


def create_app():
    app = Attic(__name__)
    app.add_url_rule('/ping', view_func=lambda: 'pong')
    return app
