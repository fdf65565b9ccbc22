from attic import create_app

app = create_app()
