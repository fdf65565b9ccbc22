module example.com/bank/money

go 1.24
