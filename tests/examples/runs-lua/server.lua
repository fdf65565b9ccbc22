-- Answers every request with what a module says.
local socket = require("socket")
local greeting = require("greeting")

local port = tonumber(os.getenv("PORT") or "8086")
local server = assert(socket.bind("0.0.0.0", port))

while true do
  local client = server:accept()
  client:settimeout(5)
  repeat
    local line = client:receive("*l")
  until not line or line == ""
  local body = greeting.text() .. "\n"
  client:send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " .. #body
    .. "\r\nConnection: close\r\n\r\n" .. body)
  client:close()
end
