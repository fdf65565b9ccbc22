package controllers

class Songs
