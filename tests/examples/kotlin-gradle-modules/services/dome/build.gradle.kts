plugins {
    kotlin("jvm")
    alias(libs.plugins.ktor)
}

kotlin {
    jvmToolchain(libs.versions.java.get().toInt())
}

application {
    mainClass.set("com.example.dome.DomeKt")
}

dependencies {
    implementation(project(":domain"))
    implementation(libs.ktor.server.netty)
}
