from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = 'only for the example'
DEBUG = True
ALLOWED_HOSTS = ['*']
ROOT_URLCONF = 'orchard.urls'
INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'trees']
DATABASES = {
    'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / 'db.sqlite3'},
}
