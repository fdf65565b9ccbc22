(ns lamp.main
  (:require [org.httpkit.server :as http]))

(defn -main [& _]
  (http/run-server (constantly {:status 200}) {:port 8123}))
