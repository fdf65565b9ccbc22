package com.example.crane;

public class CraneWorker {
    public static void main(String[] args) throws Exception {
        Thread.currentThread().join();
    }
}
