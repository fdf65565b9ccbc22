from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent

DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["django.contrib.staticfiles", "orders"]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]

SMALL = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": BASE_DIR / "data" / "shop.sqlite3",
}

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
MEDIA_ROOT = BASE_DIR / "media"
