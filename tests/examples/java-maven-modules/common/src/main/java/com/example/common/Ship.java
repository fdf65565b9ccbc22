package com.example.common;

public record Ship(String name) {}
