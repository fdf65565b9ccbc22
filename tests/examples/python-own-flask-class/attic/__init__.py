from attic.app import create_app
