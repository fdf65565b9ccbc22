module example.com/larder

go 1.23.0

toolchain go1.25.1

require (
	github.com/gin-gonic/gin v1.10.0
	github.com/mattn/go-sqlite3 v1.14.24
)
