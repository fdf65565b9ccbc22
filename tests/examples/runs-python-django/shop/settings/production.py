import os

from .base import *

SECRET_KEY = os.environ.get("SECRET_KEY", "not for real")
DATABASES = {"default": SMALL}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
