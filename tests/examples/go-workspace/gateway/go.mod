module example.com/bank/gateway

go 1.24

require (
	example.com/bank/money v0.0.0
	github.com/go-chi/chi/v5 v5.2.1
)

replace example.com/bank/money => ../money
