/* Connects to the socket of the installation. Our header gets along with Debian's. */
#include <stdio.h>
#include <pcp/pmapi.h>
#include <pcp/pmda.h>
#include <pcp/pmda_root.h>

int
main(void)
{
    int fd = pmdaRootConnect(NULL);

    printf("%d\n", fd >= 0);
    pmdaRootShutdown(fd);
    return 0;
}
