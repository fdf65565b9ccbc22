local pegasus = require("pegasus")

local server = pegasus:new({ port = tonumber(os.getenv("PORT") or "9090"), location = "public" })

server:start(function(_, response)
  response:statusCode(200)
  response:write("harbour log\n")
end)
