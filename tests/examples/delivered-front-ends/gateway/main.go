package main

import (
	"embed"
	"net/http"
)

//go:embed static
var static embed.FS

func main() {
	http.Handle("/", http.FileServerFS(static))
	http.ListenAndServe(":8085", nil)
}
