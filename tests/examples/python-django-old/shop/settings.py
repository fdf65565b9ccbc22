DEBUG = False
SECRET_KEY = "x"
