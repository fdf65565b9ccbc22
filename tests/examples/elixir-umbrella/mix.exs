defmodule Bank.MixProject do
  use Mix.Project

  def project do
    [
      apps_path: "apps",
      version: "0.1.0",
      releases: [
        bank: [applications: [web: :permanent, ledger: :permanent]]
      ]
    ]
  end
end
