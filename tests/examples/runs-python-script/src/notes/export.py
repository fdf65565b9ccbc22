from notes.server import engine
from sqlalchemy import text


def main():
    with engine.begin() as connection:
        for row in connection.execute(text("select text from notes")):
            print(row.text)
