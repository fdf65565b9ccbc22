defmodule Ping.Router do
  use Plug.Router

  get "/healthz" do
    send_resp(conn, 200, "ok")
  end
end
