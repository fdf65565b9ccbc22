users = {}
