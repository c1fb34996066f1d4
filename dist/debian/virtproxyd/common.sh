# What the maintainer scripts share; the package's builder puts it into each of them.

PACKAGE=@package@

# Those that are on unless an administrator or libvirtd is against it.
SOCKETS="virtproxyd.socket virtproxyd-ro.socket virtproxyd-admin.socket"
# Those that are off unless an administrator wants them.
OTHERS="virtproxyd-tcp.socket virtproxyd-tls.socket virtproxyd.service"

# Where polkit gets its actions from, and the file that brings virtproxyd's.
ACTIONS=/usr/share/polkit-1/actions
OUR_ACTIONS=$ACTIONS/$PACKAGE.policy

has_systemd() {
    [ -d /run/systemd/system ]
}

# Does this to the service as whatever starts services here wants it. Not being able to is told, and
# no reason to stop: there may be nothing here that starts services.
tell_service() {
    invoke-rc.d virtproxyd "$1" || echo "$PACKAGE: cannot $1 the service virtproxyd" >&2
}
