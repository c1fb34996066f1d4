/*
 * What our library does and Debian's does not. Needs our header only, and nothing of PCP. The first
 * argument says what to do with the server whose socket is the second.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pcp/pmda_root.h>

static int
cloexec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static void
descriptors(int fd)
{
    int pid, in, out;

    printf("socket %d\n", cloexec(fd));
    pmdaRootProcessStart(fd, PMDA_ROOT_IPC_PIPE, "cat", 3, "/bin/cat", 8, &pid, &in, &out);
    printf("input %d output %d\n", cloexec(in), cloexec(out));
    pmdaRootProcessStart(fd, PMDA_ROOT_IPC_PIPE, "cat", 3, "/bin/cat", 8, NULL, NULL, NULL);
}

static void
by_pid(int fd, int pid)
{
    char buffer[64] = "";

    printf("%d", pmdaRootContainerHostName(fd, NULL, pid, buffer, sizeof(buffer)));
    printf(" %s\n", buffer);
    printf("no process %d\n", pmdaRootContainerHostName(fd, NULL, 0, buffer, sizeof(buffer)));
}

static void
names(int fd)
{
    char buffer[7] = "??????", field[64] = "alpha";

    printf("%d\n", pmdaRootContainerProcessID(fd, field, sizeof(field)) > 0);
    printf("%d\n", pmdaRootContainerProcessID(fd, "alphabet", 5) > 0);
    printf("%d\n", pmdaRootContainerProcessID(fd, "alpha", 4000) > 0);
    printf("%d\n", pmdaRootContainerProcessID(fd, "", 0));
    printf("%d %s\n", pmdaRootContainerHostName(fd, "alpha", 5, buffer, 6), buffer);
    printf("%d\n", pmdaRootContainerHostName(fd, "alpha", 5, buffer, 7));
    printf("%s\n", buffer);
}

static void
arguments(int fd)
{
    int pid = 5, in = 6, out = 7;

    printf("%d\n", pmdaRootProcessStart(fd, 3, "x", 1, "/bin/true", 9, &pid, &in, &out));
    printf("%d\n", pmdaRootProcessStart(fd, 2, NULL, 1, "/bin/true", 9, &pid, &in, &out));
    printf("%d\n", pmdaRootProcessStart(fd, 2, "x", 1, NULL, 9, &pid, &in, &out));
    printf("%d %d %d\n", pid, in, out);
    printf("%d %d\n", pmdaRootProcessTerminate(fd, 0), pmdaRootProcessTerminate(-1, 1));
    printf("%d\n", pmdaRootProcessWait(-1, 1, NULL));
    pmdaRootShutdown(-1);
}

/* The process gets one second: long enough to see that the wait does not end it. */
static void
waits(int fd)
{
    int pid, in, out, status = -7, sts;

    pmdaRootProcessStart(fd, 2, "cat", 3, "/bin/cat", 8, &pid, &in, &out);
    if (fork() == 0) {
	usleep(200 * 1000);
	exit(write(in, "x", 1) != 1);
    }
    close(in);
    sts = pmdaRootProcessWait(fd, pid, &status);
    printf("%d", sts == pid || sts == -ECHILD);
    printf(" %d\n", sts == pid ? status : 0);
    printf("%d\n", kill(pid, 0) == -1 && errno == ESRCH);
    printf("%d\n", read(out, &status, 4) == 1);
    printf("%d\n", pmdaRootProcessWait(fd, pid, &status));
    wait(NULL);
}

int
main(int argc, char **argv)
{
    char buffer[64] = "??";
    int fd;

    if (argc < 3)
	return 2;
    fd = pmdaRootConnect(argv[2]);
    if (strcmp(argv[1], "connect") == 0)
	printf("%d\n", fd);
    if (fd < 0)
	return 1;
    if (strcmp(argv[1], "descriptors") == 0)
	descriptors(fd);
    else if (strcmp(argv[1], "by-pid") == 0)
	by_pid(fd, atoi(argv[3]));
    else if (strcmp(argv[1], "names") == 0)
	names(fd);
    else if (strcmp(argv[1], "arguments") == 0)
	arguments(fd);
    else if (strcmp(argv[1], "wait") == 0)
	waits(fd);
    else if (strcmp(argv[1], "host-name") == 0) {
	printf("%d", pmdaRootContainerHostName(fd, "alpha", 5, buffer, sizeof(buffer)));
	printf(" %s\n", buffer);
	printf("%d\n", pmdaRootContainerHostName(fd, "alpha", 5, buffer, sizeof(buffer)));
    }
    pmdaRootShutdown(fd);
    close(fd);
    return 0;
}
