//! One question and its answer, over a socket that may belong to somebody else.

use std::ffi::OsString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use pcp_proto::root::{self, Answer, Next, PduType, Request, Version};
use rustix::net::{Shutdown, shutdown};

use crate::transport::{Deadline, receive, send_all};
use crate::{ANSWER_TIMEOUT, Container, Error, Features};

/// A connected socket. Two threads must not ask over the same one at the same time, since nothing in
/// an answer tells whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'fd> {
    socket: BorrowedFd<'fd>,
    version: Version,
    within: Duration,
}

impl<'fd> Channel<'fd> {
    /// A channel over a socket whose server has greeted already, and speaks this version.
    pub fn new(socket: BorrowedFd<'fd>, version: Version) -> Channel<'fd> {
        Channel {
            socket,
            version,
            within: ANSWER_TIMEOUT,
        }
    }

    /// How long an answer may take, instead of [`ANSWER_TIMEOUT`].
    #[must_use]
    pub fn within(self, within: Duration) -> Channel<'fd> {
        Channel { within, ..self }
    }

    /// Ends the connection for both sides; the descriptor stays open.
    pub fn shut_down(self) {
        // When it cannot be shut down, it is no connection any more.
        let _ = shutdown(self.socket, Shutdown::Both);
    }

    /// Waits for the greeting of the server.
    ///
    /// # Errors
    /// Any [`Error`] about answers.
    pub fn greeting(self) -> Result<(Version, Features), Error> {
        self.exchange(None, PduType::Info, |answer, version, _| match answer {
            Answer::Info(Ok(features)) => Ok((version, features)),
            Answer::Info(Err(failure)) => Err(Error::Failed(failure)),
            other => Err(other_answer(PduType::Info, &other)),
        })
    }

    /// The host name inside a container.
    ///
    /// # Errors
    /// [`Error::Failed`] when there is no such container, and others.
    pub fn container_host_name<'a>(
        self,
        container: impl Into<Container<'a>>,
    ) -> Result<OsString, Error> {
        let request = Request::HostName(container.into().target()?);
        self.container(&request).map(|(_, name)| name)
    }

    /// The process of the host that is the first one of a container.
    ///
    /// # Errors
    /// Those of [`Channel::container_host_name`].
    pub fn container_process_id<'a>(
        self,
        container: impl Into<Container<'a>>,
    ) -> Result<i32, Error> {
        let request = Request::ProcessId(container.into().target()?);
        self.container(&request).map(|(pid, _)| pid)
    }

    /// The path of a container's control group, without a slash at its beginning.
    ///
    /// # Errors
    /// Those of [`Channel::container_host_name`].
    pub fn container_cgroup_name<'a>(
        self,
        container: impl Into<Container<'a>>,
    ) -> Result<OsString, Error> {
        let request = Request::CgroupName(container.into().target()?);
        self.container(&request).map(|(_, name)| name)
    }

    fn container(self, request: &Request<'_>) -> Result<(i32, OsString), Error> {
        self.ask(request, |answer, _| match answer {
            Answer::HostName(outcome)
            | Answer::ProcessId(outcome)
            | Answer::CgroupName(outcome) => outcome
                .map(|root::Container { pid, text }| {
                    (pid, OsString::from_vec(text.as_bytes().to_vec()))
                })
                .map_err(Error::Failed),
            other => Err(other_answer(request.answered_by(), &other)),
        })
    }

    /// Asks, and reads the answer, which `read` takes apart. Its second argument are the descriptors
    /// that came along; they are closed unless it keeps them.
    pub(crate) fn ask<T>(
        self,
        request: &Request<'_>,
        read: impl FnOnce(Answer<'_>, Vec<OwnedFd>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.exchange(Some(request), request.answered_by(), |answer, _, fds| {
            read(answer, fds)
        })
    }

    fn exchange<T>(
        self,
        request: Option<&Request<'_>>,
        expected: PduType,
        read: impl FnOnce(Answer<'_>, Version, Vec<OwnedFd>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let outcome = self.try_exchange(request, expected, read);
        match &outcome {
            Ok(_) | Err(Error::Failed(_)) => {}
            // What comes from now on could be taken for the answer to the next question.
            Err(_) => self.shut_down(),
        }
        outcome
    }

    fn try_exchange<T>(
        self,
        request: Option<&Request<'_>>,
        expected: PduType,
        read: impl FnOnce(Answer<'_>, Version, Vec<OwnedFd>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = Deadline::after(self.within);
        if let Some(request) = request {
            send_all(self.socket, &request.encode(self.version), &deadline)?;
        }
        let (mut bytes, mut descriptors) = (Vec::new(), Vec::new());
        loop {
            let missing = match Answer::next(&bytes)? {
                Next::Missing(missing) => missing,
                Next::Whole { pdu, version, .. } => {
                    if pdu.pdu_type() != expected {
                        return Err(other_answer(expected, &pdu));
                    }
                    return read(pdu, version, descriptors);
                }
            };
            receive(
                self.socket,
                missing,
                &mut bytes,
                &mut descriptors,
                &deadline,
            )?;
        }
    }
}

pub(crate) fn other_answer(expected: PduType, found: &Answer<'_>) -> Error {
    Error::OtherAnswer {
        expected,
        found: found.pdu_type(),
    }
}
