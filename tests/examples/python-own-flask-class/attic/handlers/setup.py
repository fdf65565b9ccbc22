def setup():
    return 'done'
