package com.example.apiary;

public class ApiaryApplication {
    public static void main(String[] args) throws Exception {
        org.springframework.boot.SpringApplication.run(ApiaryApplication.class, args);
    }
}
