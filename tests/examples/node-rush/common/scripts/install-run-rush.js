// Written by Rush.
