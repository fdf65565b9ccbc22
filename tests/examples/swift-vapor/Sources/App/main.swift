import Vapor

let app = Application()
try app.run()
