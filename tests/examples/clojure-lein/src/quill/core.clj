(ns quill.core
  (:require [ring.adapter.jetty :as jetty])
  (:gen-class))

(defn -main []
  (jetty/run-jetty (constantly {:status 200}) {:port (Integer/parseInt (or (System/getenv "PORT") "3400"))}))
