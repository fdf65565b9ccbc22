using Oxygen
using HTTP

@get "/" function (req::HTTP.Request)
    return "grain prices"
end

serve(host = "0.0.0.0", port = parse(Int, get(ENV, "PORT", "8080")))
