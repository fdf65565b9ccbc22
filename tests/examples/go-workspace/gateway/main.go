package main

import (
	"net/http"

	"example.com/bank/money"
	"github.com/go-chi/chi/v5"
)

func main() {
	r := chi.NewRouter()
	r.Get("/rate", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(money.Rate())) })
	http.ListenAndServe(":4100", r)
}
