package com.example;

public class Bell {
    public static void main(String[] args) throws Exception {
        com.sun.net.httpserver.HttpServer.create(new java.net.InetSocketAddress(8001), 0).start();
    }
}
