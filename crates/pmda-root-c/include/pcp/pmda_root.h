/*
 * Privileged services for PCP collectors, as pmdaroot(1) offers them.
 *
 * The functions have the types that they have in PCP's own <pcp/pmda.h>, so both headers can be
 * included, and programs that were compiled with the other one can be linked with this library. Link
 * with -lpcp_pmda_root; it needs nothing else of PCP.
 *
 * What is below zero is an error: a negative errno, or one of PCP's own codes, for pmErrStr_r(3).
 * No call waits for the server for longer than four seconds; pmdaRootProcessWait waits for a process
 * as long as it runs. When an answer is late or makes no sense, the connection is shut down. Only
 * one thread at a time may use a descriptor.
 */
#ifndef PCP_PMDA_ROOT_H
#define PCP_PMDA_ROOT_H

#ifdef __cplusplus
extern "C" {
#endif

/* How a process is talked with: over a socket of its own, or over pipes. */
#ifndef PMDA_ROOT_IPC_SOCKET
#define PMDA_ROOT_IPC_SOCKET	1
#define PMDA_ROOT_IPC_PIPE	2
#endif

/*
 * Connects to the socket at path, or with NULL to $PCP_VAR_DIR/pmcd/root.socket. Gives a descriptor
 * that is close-on-exec.
 */
extern int pmdaRootConnect(const char *path);

/* Ends a connection. The descriptor stays the caller's to close. */
extern void pmdaRootShutdown(int fd);

/*
 * Look up a container by name; or with NULL as its name by one of its processes, whose number is
 * namelen then. The result ends with a zero, and its length is returned; -E2BIG when it does not fit
 * into buflen bytes.
 */
extern int pmdaRootContainerHostName(int fd, const char *name, int namelen,
			char *buffer, int buflen);
extern int pmdaRootContainerCGroupName(int fd, const char *name, int namelen,
			char *buffer, int buflen);

/* The same for the number of its first process. */
extern int pmdaRootContainerProcessID(int fd, const char *name, int namelen);

/*
 * Starts a process. With pipes, *infd is what its standard input is written to, and *outfd what its
 * standard output is read from; they are the caller's to close and close-on-exec. Otherwise they
 * become -1. Returns zero.
 */
extern int pmdaRootProcessStart(int fd, int ipctype, const char *label, int labellen,
			const char *args, int argslen, int *pid, int *infd, int *outfd);

/*
 * Waits until a process has ended, and gives its number and its status as waitpid(2) does. With a
 * pid below 1 it does not wait: it tells of any process that has ended, or gives 0 if all of them
 * run, or -1 if there are none.
 */
extern int pmdaRootProcessWait(int fd, int pid, int *status);

/* Ends a process (SIGKILL). Returns zero. */
extern int pmdaRootProcessTerminate(int fd, int pid);

#ifdef __cplusplus
}
#endif

#endif	/* PCP_PMDA_ROOT_H */
