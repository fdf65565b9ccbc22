(defproject quill "0.1.0"
  :dependencies [[org.clojure/clojure "1.12.0"]
                 [compojure "1.7.1"]
                 [ring/ring-jetty-adapter "1.12.2"]]
  :main ^:skip-aot quill.core
  :profiles {:uberjar {:aot :all}})
