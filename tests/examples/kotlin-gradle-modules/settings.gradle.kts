rootProject.name = "observatory"

include("domain", ":services:dome")
include(":services:archive")
