package com.example;

public class Fares {
    public static void main(String[] args) throws Exception {
        spark.Spark.get("/", (q, a) -> "2.40");
    }
}
