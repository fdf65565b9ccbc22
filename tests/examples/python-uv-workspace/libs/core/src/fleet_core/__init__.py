NAME = "fleet"
