version       = "0.1.0"
author        = "Example"
description   = "A kiosk"
license       = "MIT"
srcDir        = "src"
bin           = @["kiosk"]

requires "nim >= 2.0.0"
requires "jester >= 0.6.0"
