package com.example;

import javax.servlet.http.HttpServlet;

public class HelloServlet extends HttpServlet {}
