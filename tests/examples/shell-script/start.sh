#!/bin/sh
while true; do date; sleep 5; done
