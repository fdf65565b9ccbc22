package com.example;

import jakarta.ws.rs.Path;

@Path("/light")
public class Light {}
