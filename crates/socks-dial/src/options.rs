//! A socket of another family in place of the program's own, for the one case in which its own cannot
//! do: an IPv4 socket cannot reach a SOCKS server that has only IPv6 addresses. What the program had
//! set on its socket is set on the new one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// An IPv6 socket, not blocking, with the options of `socket`.
pub(crate) fn ipv6_like(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let new = socket_with(AddressFamily::INET6, SocketType::STREAM, flags, None)?;
    copy(socket, new.as_fd())?;
    Ok(new)
}

fn copy(old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::set_socket_keepalive(new, sockopt::socket_keepalive(old)?)?;
    sockopt::set_socket_oobinline(new, sockopt::socket_oobinline(old)?)?;
    sockopt::set_socket_linger(new, sockopt::socket_linger(old)?)?;
    for way in [Timeout::Recv, Timeout::Send] {
        let timeout = sockopt::socket_timeout(old, way)?;
        sockopt::set_socket_timeout(new, way, timeout)?;
    }
    copy_buffers(old, new)?;
    copy_tcp(old, new)
}

/// The kernel doubles what is set, and what it shows is doubled; sizes that nobody set stay as they
/// are, since setting one ends the kernel's own sizing.
fn copy_buffers(old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> io::Result<()> {
    let size = sockopt::socket_recv_buffer_size(old)?;
    if size != sockopt::socket_recv_buffer_size(new)? {
        sockopt::set_socket_recv_buffer_size(new, size / 2)?;
    }
    let size = sockopt::socket_send_buffer_size(old)?;
    if size != sockopt::socket_send_buffer_size(new)? {
        sockopt::set_socket_send_buffer_size(new, size / 2)?;
    }
    Ok(())
}

fn copy_tcp(old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::set_tcp_nodelay(new, sockopt::tcp_nodelay(old)?)?;
    sockopt::set_tcp_keepidle(new, sockopt::tcp_keepidle(old)?)?;
    sockopt::set_tcp_keepintvl(new, sockopt::tcp_keepintvl(old)?)?;
    sockopt::set_tcp_keepcnt(new, sockopt::tcp_keepcnt(old)?)?;
    let patience = sockopt::tcp_user_timeout(old)?;
    if patience != 0 {
        sockopt::set_tcp_user_timeout(new, patience)?;
    }
    let tos = sockopt::ip_tos(old)?;
    if tos != 0 {
        sockopt::set_ipv6_tclass(new, tos.into())?;
    }
    Ok(())
}
