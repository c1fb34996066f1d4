/*
 * Calls every function of the library and prints what it gives, leaving out what differs from one
 * run to the next. Written for Debian's <pcp/pmda.h>.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <pcp/pmapi.h>
#include <pcp/pmda.h>

static void
show(const char *what, int sts, const char *text)
{
    char message[256];

    if (sts < 0)
	printf("%s: %d %s\n", what, sts, pmErrStr_r(sts, message, sizeof(message)));
    else
	printf("%s: %d \"%s\"\n", what, sts, text);
}

static void
container(int fd, const char *name, int inside)
{
    char buffer[4096] = "";
    int len = strlen(name), sts;

    printf("-- %s\n", name);
    show("host name", pmdaRootContainerHostName(fd, name, len, buffer, sizeof(buffer)), buffer);
    sts = pmdaRootContainerProcessID(fd, name, len);
    show("process id", sts > 0 ? sts == inside : sts, "");
    buffer[0] = '\0';
    show("cgroup", pmdaRootContainerCGroupName(fd, name, len, buffer, sizeof(buffer)), buffer);
    show("cgroup, no room", pmdaRootContainerCGroupName(fd, name, len, buffer, 3), "");
    show("cgroup, no buffer", pmdaRootContainerCGroupName(fd, name, len, NULL, 0), "");
}

/* Waits until a process has ended. How it ended is not told by all servers. */
static void
wait_for(int fd, int pid)
{
    int sts, status = 0;

    do {
	usleep(1000);
	sts = pmdaRootProcessWait(fd, -1, &status);
    } while (sts == 0);
    printf("ended: %d\n", sts == pid || sts == -1);
}

static void
process(int fd, int ipctype, const char *args)
{
    char echo[6] = "";
    int pid = -1, in = -1, out = -1, sts;

    printf("-- %s, %d\n", args, ipctype);
    sts = pmdaRootProcessStart(fd, ipctype, "cat", 3, args, strlen(args), &pid, &in, &out);
    /* Debian's server says that it could not, ours says why. */
    printf("start: %d\n", sts < 0 ? -1 : sts);
    printf("pid %d in %d out %d\n", pid > 0, in >= 0, out >= 0);
    if (in >= 0) {
	printf("wrote %d\n", (int)write(in, "hello", 5));
	printf("read %d", (int)read(out, echo, 5));
	printf(" %s\n", echo);
    }
    if (pid < 0)
	return;
    show("terminate", pmdaRootProcessTerminate(fd, pid), "");
    wait_for(fd, pid);
    if (in >= 0)
	printf("end of output: %d\n", (int)read(out, echo, 5));
}

int
main(int argc, char **argv)
{
    int fd, i, inside, status = 7;

    if (argc < 3 || sscanf(argv[2], "%d", &inside) != 1)
	return 2;
    if ((fd = pmdaRootConnect(argv[1])) < 0) {
	show("connect", fd, "");
	return 1;
    }
    for (i = 3; i < argc; i++)
	container(fd, argv[i], inside);
    show("no descriptor", pmdaRootContainerProcessID(-1, "alpha", 5), "");
    show("negative length", pmdaRootContainerProcessID(fd, "alpha", -1), "");
    show("too long", pmdaRootContainerProcessID(fd, "alpha", 4096), "");
    printf("nothing to wait for: %d", pmdaRootProcessWait(fd, -1, &status));
    printf(" %d\n", status);
    process(fd, 2, "/bin/cat -u");
    process(fd, 1, "/bin/sleep 1000");
    process(fd, 2, " ");
    show("no label", pmdaRootProcessStart(fd, 2, "", 0, "/bin/true", 9, &i, &i, &i), "");
    show("long label", pmdaRootProcessStart(fd, 2, "x", 64, "/bin/true", 9, &i, &i, &i), "");
    show("long arguments", pmdaRootProcessStart(fd, 2, "x", 1, "/bin/true", 4096, &i, &i, &i), "");
    show("terminate nobody", pmdaRootProcessTerminate(fd, -1), "");
    container(fd, argv[3], inside);
    pmdaRootShutdown(fd);
    printf("after the end: %d\n", pmdaRootContainerProcessID(fd, "alpha", 5) < 0);
    return 0;
}
