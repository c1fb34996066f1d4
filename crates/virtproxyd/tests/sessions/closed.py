"""Opens a connection and says when it was closed."""
import sys
import libvirt

libvirt.virEventRegisterDefaultImpl()
over = False


def closed(_connection, _reason, _opaque):
    global over
    over = True


connection = libvirt.open(sys.argv[1])
connection.registerCloseCallback(closed, None)
print("open")
while not over:
    libvirt.virEventRunDefaultImpl()
print("closed")
