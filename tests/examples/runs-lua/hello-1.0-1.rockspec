package = "hello"
version = "1.0-1"
source = { url = "git+https://example.com/hello.git" }
dependencies = {
  "lua >= 5.1",
  "luasocket >= 3.0",
}
build = { type = "builtin", modules = { greeting = "src/greeting.lua" } }
