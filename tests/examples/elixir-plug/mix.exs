defmodule Ping.MixProject do
  use Mix.Project

  def project do
    [app: :ping, version: "0.1.0", elixir: "~> 1.13.0", deps: deps()]
  end

  def application do
    [mod: {Ping.Application, []}]
  end

  defp deps do
    [{:plug_cowboy, "~> 2.0"}]
  end
end
