import std/[os, strutils]
import jester

settings:
  port = Port(parseInt(getEnv("PORT", "5000")))
  bindAddr = "0.0.0.0"

routes:
  get "/":
    resp "newspapers"
