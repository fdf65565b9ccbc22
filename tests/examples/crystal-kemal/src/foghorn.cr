require "kemal"

get "/" { "whoo" }

Kemal.run
