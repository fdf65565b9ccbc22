package main

import (
	"database/sql"

	"github.com/gin-gonic/gin"
	_ "github.com/mattn/go-sqlite3"
)

func main() {
	db, _ := sql.Open("sqlite3", "larder.db")
	defer db.Close()
	r := gin.Default()
	r.LoadHTMLGlob("templates/*")
	r.Run()
}
