/* Connects to the socket of the installation. */
#include <stdio.h>
#include <pcp/pmda_root.h>

int
main(void)
{
    int fd = pmdaRootConnect(NULL);

    printf("%d\n", fd >= 0);
    pmdaRootShutdown(fd);
    return 0;
}
