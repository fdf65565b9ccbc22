require "sinatra"

get "/" do
  "Hello from ruby\n"
end
