"""Gets a descriptor of a guest's display, gives it another one, and reads what comes out; or is
refused each time and stays connected."""
import socket
import sys
import libvirt

libvirt.registerErrorHandler(lambda _context, _error: None, None)
uri, name, how = (sys.argv[1:] + [""])[:3]
connection = libvirt.open(uri)
domain = connection.lookupByName(name)


def get():
    with socket.socket(fileno=domain.openGraphicsFD(0)) as display:
        return "got " + display.recv(12).decode().strip()


def give():
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            domain.openGraphics(0, theirs.fileno(), 0)
        return "gave " + ours.recv(12).decode().strip()


for _ in range(20):
    for turn in get, give:
        try:
            print(turn())
        except libvirt.libvirtError as error:
            if how != "refused":
                raise
            print("refused:", error)
assert domain.isActive()
if how == "refused":
    print("still connected")
connection.close()
