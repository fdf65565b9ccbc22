data class Star(val name: String)
