# What the maintainer scripts share; the package's builder puts it into each of them.

# What the package pcp has at the same paths, and where it stays meanwhile. Also where pcp is not
# installed, for it may be later.
DIVERTED="
/usr/bin/pmsocks:/usr/bin/pmsocks.pcp
/usr/share/man/man1/pmsocks.1.gz:/usr/share/man/man1/pmsocks.pcp.1.gz
"

divert() {
    for pair in $DIVERTED; do
        dpkg-divert --quiet --package @package@ --add --rename --divert "${pair#*:}" "${pair%%:*}"
    done
}

restore() {
    for pair in $DIVERTED; do
        dpkg-divert --quiet --package @package@ --remove --rename "${pair%%:*}"
    done
}
