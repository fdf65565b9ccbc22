package com.example.dome

import io.ktor.server.engine.embeddedServer
import io.ktor.server.netty.Netty

fun main() {
    embeddedServer(Netty, port = 8090, host = "0.0.0.0") {}.start(wait = true)
}
