module Main where

import Network.Wai.Handler.Warp (run)

main :: IO ()
main = run 8081 undefined
