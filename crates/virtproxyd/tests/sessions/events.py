"""Listens for the events of guests, and ends when one was undefined."""
import sys
import libvirt

libvirt.virEventRegisterDefaultImpl()
over = False


def heard(_connection, domain, event, detail, _opaque):
    global over
    print(domain.name(), event, detail)
    over = event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED


connection = libvirt.open(sys.argv[1])
connection.domainEventRegisterAny(
    None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, heard, None)
print("listening")
while not over:
    libvirt.virEventRunDefaultImpl()
connection.close()
