defmodule Ping.Application do
  use Application

  def start(_type, _args) do
    children = [{Plug.Cowboy, scheme: :http, plug: Ping.Router, options: [port: 4321]}]
    Supervisor.start_link(children, strategy: :one_for_one)
  end
end
