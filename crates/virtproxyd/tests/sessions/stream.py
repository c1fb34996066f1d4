"""Moves a volume up or down for as long as it can, or asks for it and reads nothing."""
import signal
import sys
import libvirt

uri, name, way = sys.argv[1:]
connection = libvirt.open(uri)
volume = connection.storagePoolLookupByName("pool").storageVolLookupByName(name)
stream = connection.newStream(0)
(volume.upload if way == "up" else volume.download)(stream, 0, 0, 0)
if way == "stalled":
    print("stalled")
    signal.pause()
moved = 0
while True:
    if way == "up":
        moved += stream.send(b"\0" * 65536)
    elif piece := stream.recv(65536):
        moved += len(piece)
    else:
        sys.exit("the volume has ended")
    if moved > 1 << 22:
        print("moving")
        moved = -(1 << 62)
