from lihil import Lihil, Route

root = Route()
app = Lihil(root)
