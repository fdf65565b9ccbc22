package = "harbour"
version = "0.1-1"
source = { url = "git+https://example.com/harbour.git" }
dependencies = {
  "lua >= 5.1",
  "pegasus >= 1.0",
  "luasocket",
}
build = { type = "none" }
