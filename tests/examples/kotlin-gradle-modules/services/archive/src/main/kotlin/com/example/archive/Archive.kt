package com.example.archive

import io.javalin.Javalin

fun main() {
    val port = System.getenv("PORT")?.toInt() ?: 7171
    Javalin.create().start(port)
}
