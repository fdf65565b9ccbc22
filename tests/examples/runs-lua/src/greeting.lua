local greeting = {}

function greeting.text()
  return "Hello from lua"
end

return greeting
