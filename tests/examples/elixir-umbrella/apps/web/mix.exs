defmodule Web.MixProject do
  use Mix.Project

  def project do
    [app: :web, version: "0.1.0", deps: [{:phoenix, "~> 1.7"}]]
  end

  def application do
    [mod: {Web.Application, []}]
  end
end
