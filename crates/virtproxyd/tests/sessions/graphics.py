"""Gets a descriptor of a guest's display, gives it another one, and reads what comes out."""
import os
import socket
import sys
import libvirt

connection = libvirt.open(sys.argv[1])
domain = connection.lookupByName(sys.argv[2])
for _ in range(20):
    with socket.socket(fileno=domain.openGraphicsFD(0)) as display:
        print("got", display.recv(12).decode().strip())
    ours, theirs = socket.socketpair()
    domain.openGraphics(0, theirs.fileno(), 0)
    theirs.close()
    print("gave", ours.recv(12).decode().strip())
    ours.close()
connection.close()
