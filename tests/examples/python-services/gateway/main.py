from fastapi import FastAPI

from clients import users

app = FastAPI()
