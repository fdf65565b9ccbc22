"""Tea as a service: a library for Starlette."""


def brew(app):
    return app
