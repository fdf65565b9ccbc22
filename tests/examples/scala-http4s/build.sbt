ThisBuild / scalaVersion := "3.3.4"

lazy val root = (project in file("."))
  .settings(
    name := "toll-gate",
    libraryDependencies += "org.http4s" %% "http4s-ember-server" % "0.23.30"
  )
