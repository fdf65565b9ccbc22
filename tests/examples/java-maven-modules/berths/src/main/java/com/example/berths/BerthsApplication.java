package com.example.berths;

public class BerthsApplication {
    public static void main(String[] args) throws Exception {
        org.springframework.boot.SpringApplication.run(BerthsApplication.class, args);
    }
}
