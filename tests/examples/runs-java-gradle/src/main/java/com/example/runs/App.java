package com.example.runs;

import static spark.Spark.get;
import static spark.Spark.port;

public class App {
    public static void main(String[] args) {
        String port = System.getenv("PORT");
        port(port == null ? 4567 : Integer.parseInt(port));
        get("/", (request, response) -> "Hello from gradle\n");
    }
}
