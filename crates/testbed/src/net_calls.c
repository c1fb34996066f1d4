/*
 * A program that connects in all the ways that programs connect, and prints what it sees of it, line by
 * line. It knows nothing of SOCKS. Over a direct connection it prints the same; that is its use.
 *
 *     net_calls COMMAND ADDRESS PORT [MORE]
 *
 * Who is at the other end sends back what it gets. Made with RAW it does not call libc for what touches
 * a connection, but the kernel. Where it has come to a point that a test waits for, it prints a line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef RAW
static long kernel(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    result = x0;
#endif
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
#define KERNEL(name, a, b, c, d, e, f) \
    kernel(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static int raw_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};
    return (int)KERNEL(ppoll, fds, count, timeout < 0 ? NULL : &time, NULL, 8, 0);
}
#define connect(fd, to, len) ((int)KERNEL(connect, fd, to, len, 0, 0, 0))
#define poll(fds, count, timeout) raw_poll(fds, count, timeout)
#define epoll_wait(fd, events, most, timeout) \
    ((int)KERNEL(epoll_pwait, fd, events, most, timeout, NULL, 8))
#define getsockopt(fd, level, name, value, len) \
    ((int)KERNEL(getsockopt, fd, level, name, value, len, 0))
#define getpeername(fd, name, len) ((int)KERNEL(getpeername, fd, name, len, 0, 0, 0))
#define recv(fd, to, len, flags) KERNEL(recvfrom, fd, to, len, flags, NULL, NULL)
#define send(fd, from, len, flags) KERNEL(sendto, fd, from, len, flags, NULL, 0)
#endif

/* How long it looks whether something happens that must not happen. */
enum { GLANCE_MS = 120 };

/* When a signal comes: after the beginning of a connect, also on a busy machine. */
enum { SIGNAL_MS = 600 };

static struct sockaddr_storage target;
static socklen_t target_len;

static void say(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    putchar('\n');
    fflush(stdout);
}

static void die(const char *what)
{
    say("%s: %s", what, strerrorname_np(errno));
    exit(2);
}

static void aim(const char *address, const char *port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&target;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target;
    in_port_t number = htons((uint16_t)atoi(port));
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = number;
        target_len = sizeof *v4;
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = number;
        target_len = sizeof *v6;
    } else {
        say("%s is no address", address);
        exit(2);
    }
}

static int make_socket(int flags)
{
    int fd = socket(target.ss_family, SOCK_STREAM | flags, 0);
    if (fd < 0)
        die("socket");
    return fd;
}

static int reach(int fd)
{
    return connect(fd, (struct sockaddr *)&target, target_len);
}

/* What connect says, in a word. */
static const char *reached(int fd)
{
    return reach(fd) == 0 ? "connected" : strerrorname_np(errno);
}

static bool whole(int fd, char *to, size_t len)
{
    for (size_t had = 0; had < len;) {
        struct pollfd wait = {fd, POLLIN, 0};
        if (poll(&wait, 1, 20000) != 1)
            return false;
        ssize_t got = recv(fd, to + had, len - had, 0);
        if (got <= 0)
            return false;
        had += (size_t)got;
    }
    return true;
}

/* Whether these words come back, and nothing before them. */
static bool echoes(int fd, const char *words)
{
    char back[64] = "";
    size_t len = strlen(words);
    return send(fd, words, len, MSG_NOSIGNAL) == (ssize_t)len && whole(fd, back, len)
        && memcmp(words, back, len) == 0;
}

static const char *echo_word(int fd)
{
    return echoes(fd, "hello\n") ? "echo" : "no echo";
}

static const char *pending_error(int fd)
{
    int error = -1;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return strerrorname_np(errno);
    return error == 0 ? "none" : strerrorname_np(error);
}

static const char *peer(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof name;
    if (getpeername(fd, (struct sockaddr *)&name, &len) < 0)
        return strerrorname_np(errno);
    bool same = len == target_len && memcmp(&name, &target, len) == 0;
    return same ? "the target" : "another";
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    if (getsockopt(fd, level, name, &value, &len) < 0)
        die("getsockopt");
    return value;
}

static unsigned long socket_number(int fd)
{
    struct stat facts;
    if (fstat(fd, &facts) < 0)
        die("fstat");
    return facts.st_ino;
}

/* What must stay as the program made it. */
static void say_settings(int fd)
{
    say("settings: %s%s%s%s", fcntl(fd, F_GETFL) & O_NONBLOCK ? "nonblock" : "block",
        fcntl(fd, F_GETFD) & FD_CLOEXEC ? " cloexec" : "",
        option(fd, IPPROTO_TCP, TCP_NODELAY) ? " nodelay" : "",
        option(fd, SOL_SOCKET, SO_KEEPALIVE) ? " keepalive" : "");
}

/* The ways to wait. Each gives what it has heard of, in a word, or «nothing» after the time. */

static const char *event_word(bool in, bool out, bool bad)
{
    if (bad)
        return "error";
    return in && out ? "in out" : in ? "in" : out ? "out" : "nothing";
}

static const char *by_poll(int fd, int ms)
{
    struct pollfd wait = {fd, POLLIN | POLLOUT, 0};
    if (poll(&wait, 1, ms) < 0)
        return strerrorname_np(errno);
    return event_word(wait.revents & POLLIN, wait.revents & POLLOUT,
                      wait.revents & (POLLERR | POLLHUP));
}

static const char *by_ppoll(int fd, int ms)
{
    struct pollfd wait = {fd, POLLIN | POLLOUT, 0};
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    if (ppoll(&wait, 1, ms < 0 ? NULL : &time, NULL) < 0)
        return strerrorname_np(errno);
    return event_word(wait.revents & POLLIN, wait.revents & POLLOUT,
                      wait.revents & (POLLERR | POLLHUP));
}

static const char *by_select(int fd, int ms)
{
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fd, &in);
    FD_SET(fd, &out);
    struct timeval time = {ms / 1000, ms % 1000 * 1000};
    if (select(fd + 1, &in, &out, NULL, ms < 0 ? NULL : &time) < 0)
        return strerrorname_np(errno);
    return event_word(FD_ISSET(fd, &in), FD_ISSET(fd, &out), false);
}

static const char *by_pselect(int fd, int ms)
{
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fd, &in);
    FD_SET(fd, &out);
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    if (pselect(fd + 1, &in, &out, NULL, ms < 0 ? NULL : &time, NULL) < 0)
        return strerrorname_np(errno);
    return event_word(FD_ISSET(fd, &in), FD_ISSET(fd, &out), false);
}

static int epoll_fd = -1;

static void watch(int fd, uint32_t more, uint64_t data)
{
    struct epoll_event event = {EPOLLIN | EPOLLOUT | more, {.u64 = data}};
    if (epoll_fd < 0)
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static const char *by_epoll(int fd, int ms)
{
    struct epoll_event event = {0};
    int count = epoll_wait(epoll_fd, &event, 1, ms);
    if (count < 0)
        return strerrorname_np(errno);
    if (count > 0 && event.data.u64 != (uint64_t)fd + 1000)
        return "the data of another";
    return event_word(event.events & EPOLLIN, event.events & EPOLLOUT,
                      event.events & (EPOLLERR | EPOLLHUP));
}

static void command_connect(void)
{
    int fd = make_socket(0);
    const char *word = reached(fd);
    say("%s", word);
    if (strcmp(word, "connected") == 0) {
        say("peer: %s", peer(fd));
        say("%s", echo_word(fd));
    }
    close(fd);
}

static const char *(*way_to_wait(const char *how))(int, int)
{
    return strstr(how, "epoll") ? by_epoll
        : strstr(how, "pselect") ? by_pselect
        : strstr(how, "select")  ? by_select
        : strstr(how, "ppoll")   ? by_ppoll
                                 : by_poll;
}

/* A connection that does not block and fails. */
static void command_fail(const char *how)
{
    int fd = make_socket(SOCK_NONBLOCK);
    say("connect: %s", reached(fd));
    if (strstr(how, "epoll"))
        watch(fd, 0, (uint64_t)fd + 1000);
    say("after: %s", way_to_wait(how)(fd, 20000));
    say("error: %s", pending_error(fd));
    say("error again: %s", pending_error(fd));
    say("peer: %s", peer(fd));
}

/* A connection that does not block, with all that a program may look at on the way. */
static void command_nonblock(const char *how)
{
    bool edge = strstr(how, "edge"), before = strstr(how, "before"), dupped = strstr(how, "dup");
    bool epoll = strstr(how, "epoll");
    const char *(*await)(int, int) = way_to_wait(how);
    int fd = make_socket(SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    unsigned long number = socket_number(fd);
    int watched = dupped ? dup(fd) : fd;
    if (epoll && before) {
        watch(watched, edge ? EPOLLET : 0, (uint64_t)watched + 1000);
        /* A socket that is not connected hangs up; with edges that is told only now. */
        await(watched, 0);
    }
    say("connect: %s", reached(fd));
    if (epoll && !before)
        watch(watched, edge ? EPOLLET : 0, (uint64_t)watched + 1000);
    say("before: %s", await(watched, GLANCE_MS));
    say("error before: %s", pending_error(fd));
    say("peer before: %s", peer(fd));
    say("connect again: %s", reached(fd));
    say_settings(fd);
    say("pending");
    say("after: %s", await(watched, 20000));
    const char *error = pending_error(fd);
    say("error: %s", error);
    say("peer: %s", peer(fd));
    say_settings(fd);
    say("socket: %s", socket_number(fd) == number ? "the same" : "another");
    if (strcmp(error, "none") == 0) {
        char byte;
        say("early byte: %s", recv(fd, &byte, 1, MSG_DONTWAIT) == 1 ? "yes" : strerrorname_np(errno));
        /* Linux says once that it has worked. */
        reach(fd);
        say("connect at last: %s", reached(fd));
        say("%s", echo_word(fd));
    }
}

struct thread_work {
    pthread_barrier_t *start;
    int index;
    bool good;
};

static void *one_of_many(void *given)
{
    struct thread_work *work = given;
    char words[32];
    int fd = make_socket(SOCK_CLOEXEC);
    snprintf(words, sizeof words, "thread %d\n", work->index);
    pthread_barrier_wait(work->start);
    work->good = reach(fd) == 0 && echoes(fd, words) && strcmp(peer(fd), "the target") == 0;
    close(fd);
    return NULL;
}

static void command_threads(int count)
{
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    struct thread_work *work = calloc((size_t)count, sizeof *work);
    pthread_barrier_t start;
    int good = 0;
    pthread_barrier_init(&start, NULL, (unsigned)count);
    for (int i = 0; i < count; i++) {
        work[i] = (struct thread_work){&start, i, false};
        if (pthread_create(&threads[i], NULL, one_of_many, &work[i]) != 0)
            die("pthread_create");
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        good += work[i].good;
    }
    say("%d of %d", good, count);
    free(threads);
    free(work);
}

/* Many connections in one loop. */
static void command_loop(int count)
{
    int good = 0, *fds = calloc((size_t)count, sizeof *fds);
    for (int i = 0; i < count; i++) {
        fds[i] = make_socket(SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (i % 2)
            watch(fds[i], EPOLLET, (uint64_t)i);
        if (reach(fds[i]) == 0 || errno != EINPROGRESS)
            say("connect: %s", strerrorname_np(errno));
        if (i % 2 == 0)
            watch(fds[i], 0, (uint64_t)i);
    }
    for (int left = count; left > 0;) {
        struct epoll_event events[16];
        int ready = epoll_wait(epoll_fd, events, 16, 20000);
        if (ready <= 0)
            break;
        for (int i = 0; i < ready; i++) {
            int fd = fds[events[i].data.u64];
            /* One that was watched before it was connected may be told to hang up. */
            if (!(events[i].events & EPOLLOUT) || strcmp(peer(fd), "ENOTCONN") == 0)
                continue;
            char words[32];
            snprintf(words, sizeof words, "turn %d\n", (int)events[i].data.u64);
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
            good += strcmp(pending_error(fd), "none") == 0 && echoes(fd, words);
            left--;
        }
    }
    say("%d of %d", good, count);
    free(fds);
}

static void on_signal(int signal)
{
    (void)signal;
    if (write(STDOUT_FILENO, "signal\n", 7) != 7)
        _exit(3);
}

/* A connect that blocks, and a signal meanwhile. */
static void command_signal(const char *how)
{
    bool restart = strcmp(how, "restart") == 0;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
    struct itimerval timer = {.it_value = {0, SIGNAL_MS * 1000}};
    int fd = make_socket(0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    say("connect: %s", reached(fd));
    if (!restart)
        say("pending");
    if (strcmp(how, "poll") == 0) {
        say("after: %s", by_poll(fd, 20000));
        say("error: %s", pending_error(fd));
    } else if (strcmp(how, "again") == 0) {
        say("again: %s", reached(fd));
    }
    say("%s", echo_word(fd));
}

/* A connect that blocks no longer than this. */
static void command_sndtimeo(void)
{
    struct timeval time = {0, GLANCE_MS * 1000};
    int fd = make_socket(0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    say("connect: %s", reached(fd));
    say("pending");
    say("after: %s", by_poll(fd, 20000));
    say("error: %s", pending_error(fd));
    say("%s", echo_word(fd));
}

/* Closes a socket that is being connected; another gets its number. */
static void command_close(void)
{
    int fd = make_socket(SOCK_NONBLOCK);
    say("connect: %s", reached(fd));
    close(fd);
    int next = make_socket(SOCK_NONBLOCK);
    say("number: %s", next == fd ? "the same" : "another");
    say("peer: %s", peer(next));
    say("error: %s", pending_error(next));
    close(next);
    say("pending");
    next = make_socket(0);
    say("connect: %s", reached(next));
    say("%s", echo_word(next));
}

static void end_child(pid_t child)
{
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("fork");
    say("child: %s", WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "good" : "bad");
}

/* A child has the connection of its parent, and makes its own. */
static void command_fork(void)
{
    int fd = make_socket(0);
    say("connect: %s", reached(fd));
    pid_t child = fork();
    if (child == 0) {
        int own = make_socket(0);
        _exit(echoes(fd, "child\n") && reach(own) == 0 && echoes(own, "own\n") ? 0 : 1);
    }
    end_child(child);
    say("peer: %s", peer(fd));
    say("%s", echo_word(fd));
}

/* A child waits for a connection that its parent has begun. */
static void command_fork_pending(void)
{
    int fd = make_socket(SOCK_NONBLOCK);
    say("connect: %s", reached(fd));
    pid_t child = fork();
    if (child == 0) {
        say("pending");
        bool out = strcmp(by_poll(fd, 20000), "out") == 0;
        _exit(out && strcmp(pending_error(fd), "none") == 0 && echoes(fd, "child\n") ? 0 : 1);
    }
    end_child(child);
    say("after: %s", by_poll(fd, 20000));
    say("%s", echo_word(fd));
}

/* Becomes another program, which has the connection. */
static void command_exec(void)
{
    char number[16];
    int fd = make_socket(0);
    say("connect: %s", reached(fd));
    snprintf(number, sizeof number, "%d", fd);
    execl("/proc/self/exe", "net_calls", "inherited", "0.0.0.0", "0", number, (char *)NULL);
    die("exec");
}

static void *connect_over_and_over(void *over)
{
    while (!*(volatile bool *)over) {
        int fd = make_socket(SOCK_CLOEXEC);
        if (reach(fd) != 0 || !echoes(fd, "thread\n"))
            say("a thread failed");
        close(fd);
    }
    return NULL;
}

/* Forks while other threads connect: what they hold must not hold the children. */
static void command_storm(int count)
{
    static bool over;
    pthread_t threads[4];
    int good = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, connect_over_and_over, &over);
    for (int i = 0; i < count; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            int fd = make_socket(0);
            _exit(reach(fd) == 0 && echoes(fd, "child\n") ? 0 : 1);
        }
        waitpid(child, &status, 0);
        good += status == 0;
    }
    over = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    say("%d of %d", good, count);
}

/* What SOCKS has nothing to do with. */
static void command_datagram(void)
{
    int fd = socket(target.ss_family, SOCK_DGRAM, 0);
    say("connect: %s", reached(fd));
    say("peer: %s", peer(fd));
    say("%s", echo_word(fd));
}

static void command_unix(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strncpy(name.sun_path, path, sizeof name.sun_path - 1);
    memcpy(&target, &name, sizeof name);
    target_len = sizeof name;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    say("connect: %s", reached(fd));
    say("%s", echo_word(fd));
}

/* Wants a local address before it connects. */
static void command_bound(const char *address)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    int fd = make_socket(0);
    inet_pton(AF_INET, address, &own.sin_addr);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        die("bind");
    say("connect: %s", reached(fd));
    say("%s", echo_word(fd));
}

#ifndef STATIC
/* By name, in the new way: all that is given is looked at, and the first that works is taken. */
static void command_name(const char *name, const char *port, const char *how)
{
    struct addrinfo hints = {.ai_socktype = strstr(how, "any") ? 0 : SOCK_STREAM}, *found;
    hints.ai_family = strstr(how, "4") ? AF_INET : strstr(how, "6") ? AF_INET6 : AF_UNSPEC;
    hints.ai_flags = strstr(how, "numeric") ? AI_NUMERICHOST : strstr(how, "canon") ? AI_CANONNAME : 0;
    int error = getaddrinfo(name, port, &hints, &found);
    if (error != 0) {
        say("%s", error == EAI_NONAME ? "unknown" : gai_strerror(error));
        return;
    }
    if (found->ai_canonname)
        say("canonical name: %s", found->ai_canonname);
    for (struct addrinfo *at = found; at; at = at->ai_next) {
        if (at->ai_socktype != SOCK_STREAM)
            continue;
        say("family: %s", at->ai_family == AF_INET ? "4" : at->ai_family == AF_INET6 ? "6" : "?");
        memcpy(&target, at->ai_addr, at->ai_addrlen);
        target_len = at->ai_addrlen;
        command_connect();
        break;
    }
    freeaddrinfo(found);
}

/* By name, in the old way. */
static void command_old_name(const char *name, const char *port)
{
    struct hostent *found = gethostbyname(name);
    if (!found) {
        say("%s", h_errno == HOST_NOT_FOUND ? "unknown" : hstrerror(h_errno));
        return;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)&target;
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)atoi(port));
    memcpy(&v4->sin_addr, found->h_addr_list[0], sizeof v4->sin_addr);
    target_len = sizeof *v4;
    say("name: %s", found->h_name);
    command_connect();
}
#endif

struct spawn {
    char **words;
    int good;
};

/* Runs a program in all the ways that search for it. */
static void *spawn_and_fork(void *argument)
{
    struct spawn *work = argument;
    pid_t children[2];
    if (posix_spawnp(&children[0], work->words[0], NULL, NULL, work->words, environ) != 0)
        children[0] = -1;
    children[1] = fork();
    if (children[1] == 0) {
        execvp(work->words[0], work->words);
        _exit(127);
    }
    for (int i = 0; i < 2; i++) {
        int status = 0;
        work->good += children[i] > 0 && waitpid(children[i], &status, 0) > 0 && status == 0;
    }
    return NULL;
}

/* A thread with the least stack that there is runs PROGRAM with the arguments that this one has. */
static void command_spawn(char *address, char *port, char *program)
{
    char *words[] = { program, "connect", address, port, NULL };
    struct spawn work = { words, 0 };
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, (size_t)PTHREAD_STACK_MIN);
    pthread_create(&thread, &small, spawn_and_fork, &work);
    pthread_join(thread, NULL);
    say("%d good", work.good);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    const char *command = argv[1], *more = argc > 4 ? argv[4] : "";
    bool is_name = strstr(command, "name") != NULL, is_path = strcmp(command, "unix") == 0;
    if (!is_name && !is_path)
        aim(argv[2], argv[3]);
    if (strcmp(command, "connect") == 0)
        command_connect();
    else if (strcmp(command, "nonblock") == 0)
        command_nonblock(more);
    else if (strcmp(command, "fail") == 0)
        command_fail(more);
    else if (strcmp(command, "threads") == 0)
        command_threads(atoi(more));
    else if (strcmp(command, "loop") == 0)
        command_loop(atoi(more));
    else if (strcmp(command, "signal") == 0)
        command_signal(more);
    else if (strcmp(command, "sndtimeo") == 0)
        command_sndtimeo();
    else if (strcmp(command, "close") == 0)
        command_close();
    else if (strcmp(command, "fork") == 0)
        command_fork();
    else if (strcmp(command, "fork-pending") == 0)
        command_fork_pending();
    else if (strcmp(command, "exec") == 0)
        command_exec();
    else if (strcmp(command, "spawn") == 0)
        command_spawn(argv[2], argv[3], argc > 4 ? argv[4] : "true");
    else if (strcmp(command, "inherited") == 0)
        say("%s", echo_word(atoi(more)));
    else if (strcmp(command, "storm") == 0)
        command_storm(atoi(more));
    else if (strcmp(command, "datagram") == 0)
        command_datagram();
    else if (is_path)
        command_unix(argv[2]);
    else if (strcmp(command, "bound") == 0)
        command_bound(more);
#ifndef STATIC
    else if (strcmp(command, "name") == 0)
        command_name(argv[2], argv[3], more);
    else if (strcmp(command, "old-name") == 0)
        command_old_name(argv[2], argv[3]);
#endif
    else
        return 2;
    return 0;
}
