module example.com/bank/ledger

go 1.24

require google.golang.org/grpc v1.71.0
