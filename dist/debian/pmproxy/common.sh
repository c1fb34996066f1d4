# What the maintainer scripts share; the package's builder puts it into each of them.

PACKAGE=gatehouse-pmproxy

# What the package pcp has at the same paths, and where it stays meanwhile. Its unit must not look
# like one there, nor its init script lie among the others: systemd would take them for services.
# Also where pcp is not installed, for it may be later.
DIVERTED="
/usr/lib/pcp/bin/pmproxy:/usr/lib/pcp/bin/pmproxy.pcp
/etc/init.d/pmproxy:/etc/pcp/pmproxy/pmproxy.init.pcp
/lib/systemd/system/pmproxy.service:/lib/systemd/system/pmproxy.service.pcp
/usr/share/man/man1/pmproxy.1.gz:/usr/share/man/man1/pmproxy.pcp.1.gz
"

divert() {
    mkdir -p /etc/pcp/pmproxy
    for pair in $DIVERTED; do
        dpkg-divert --quiet --package $PACKAGE --add --rename --divert "${pair#*:}" "${pair%%:*}"
    done
}

restore() {
    for pair in $DIVERTED; do
        # Where pcp was purged meanwhile, dpkg has left its init script behind.
        is_anothers "${pair%%:*}" || rm -f "${pair#*:}"
        dpkg-divert --quiet --package $PACKAGE --remove --rename "${pair%%:*}"
    done
}

# The configuration: the default's name in /usr/share/gatehouse-pmproxy, and its place. These files
# are no conffiles, because pcp has conffiles of the same names, and who has pcp keeps its ones.
CONFIGURATION="
pmproxy.conf:/etc/pcp/pmproxy/pmproxy.conf
pmproxy.options:/etc/pcp/pmproxy/pmproxy.options
pmproxy.default:/etc/default/pmproxy
"

# Whether another package has this path.
is_anothers() {
    dpkg-query --search "$1" 2>/dev/null | grep --invert-match "^diversion " \
        | cut --delimiter : --fields 1 | tr ',' '\n' | tr --delete ' ' \
        | grep --invert-match --quiet --line-regexp $PACKAGE
}

# Does this to the service as whatever starts services here wants it. Not being able to is told, and
# no reason to stop: there may be nothing here that starts services.
tell_service() {
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload || true
    fi
    if [ -x /etc/init.d/pmproxy ]; then
        invoke-rc.d pmproxy "$1" || echo "$PACKAGE: cannot $1 the service pmproxy" >&2
    fi
}
