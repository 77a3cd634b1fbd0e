#!/bin/sh
# Stands in for an agent at a terminal, so that the example runs without one: it works until somebody types /exit.
#
#     agent.sh NAME [polite|crashes|stubborn]
name=$1
kind=${2:-polite}

case $kind in
  crashes)
    if [ ! -e "/tmp/$name" ]; then
      touch "/tmp/$name"
      echo "$name: I have made a mistake"
      exit 3
    fi ;;
  stubborn) trap '' TERM HUP INT QUIT ;;
esac

echo "$name: at work; type /exit to stop me"
while :; do
  read -r line || { sleep 1; continue; }
  if [ "$line" = /exit ] && [ "$kind" = polite ]; then
    echo "$name: goodbye"
    sleep 0.1 # what is said with the last breath may not reach the screen
    exit 0
  fi
  echo "$name: $line? I am busy"
done
