import Config

port = String.to_integer(System.get_env("PORT") || "4000")
config :chat, ChatWeb.Endpoint, http: [port: port]
