plugins {
    kotlin("jvm")
    application
}

application {
    mainClass = "com.example.archive.ArchiveKt"
}

dependencies {
    implementation("io.javalin:javalin:6.3.0")
}
