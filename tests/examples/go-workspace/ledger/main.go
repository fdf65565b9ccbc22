package main

import (
	"net"

	"google.golang.org/grpc"
)

func main() {
	l, _ := net.Listen("tcp", ":50061")
	grpc.NewServer().Serve(l)
}
