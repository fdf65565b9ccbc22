require './api'
run Api
