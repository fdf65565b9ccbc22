from .base import *

DEBUG = True
SECRET_KEY = "local"
INSTALLED_APPS += ["debug_toolbar"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}}
