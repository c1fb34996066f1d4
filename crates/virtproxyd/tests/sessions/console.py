"""Talks to a guest that sends everything back, or holds its console until it is taken away."""
import sys
import libvirt

uri, name, how = (sys.argv[1:] + [""])[:3]
connection = libvirt.open(uri)
domain = connection.lookupByName(name)
stream = connection.newStream(0)
domain.openConsole(
    None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE if how == "force" else 0)
if how == "hold":
    print("holding")
    try:
        while True:
            if not stream.recv(1024):
                print("ended")
                break
    except libvirt.libvirtError as error:
        print("taken away:", error.get_error_code())
    sys.exit(0)
echoed, said = b"", b""
for number in range(64):
    # What the guest said before anybody listened may come first.
    line = b"%063d\n" % number
    sent = stream.send(line)
    assert sent == len(line), sent
    said += line
    while not echoed.endswith(line):
        piece = stream.recv(1024)
        assert piece, echoed
        echoed += piece
assert echoed.endswith(said), echoed
print("echoed", len(said), "bytes")
stream.abort()
connection.close()
