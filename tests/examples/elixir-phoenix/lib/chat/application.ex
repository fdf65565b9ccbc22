defmodule Chat.Application do
  use Application
end
