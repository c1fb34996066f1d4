//! Numbers in libvirt's errors, from its `virterror.h`: what went wrong, where, how badly.

use crate::named::named;

/// What went wrong (`virErrorNumber`). Daemons send many others than those that have a name here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorNumber(pub i32);

named!(ErrorNumber {
    /// Something that should not be.
    INTERNAL_ERROR = 1, "INTERNAL_ERROR";
    /// The driver cannot do this.
    NO_SUPPORT = 3, "NO_SUPPORT";
    /// There is no driver for the URI.
    NO_CONNECT = 5, "NO_CONNECT";
    /// An argument makes no sense.
    INVALID_ARG = 8, "INVALID_ARG";
    /// Not on a read-only connection.
    OPERATION_DENIED = 29, "OPERATION_DENIED";
    /// A system call failed; the first integer is its errno.
    SYSTEM_ERROR = 38, "SYSTEM_ERROR";
    /// The protocol was not kept.
    RPC = 39, "RPC";
    /// The client is not who it says, or did not say.
    AUTH_FAILED = 45, "AUTH_FAILED";
    /// There is no such argument here.
    ARGUMENT_UNSUPPORTED = 74, "ARGUMENT_UNSUPPORTED";
    /// The user gave the authentication up.
    AUTH_CANCELLED = 79, "AUTH_CANCELLED";
    /// Nothing may be done so, by this client.
    ACCESS_DENIED = 88, "ACCESS_DENIED";
    /// Nobody is there to ask the user.
    AUTH_UNAVAILABLE = 94, "AUTH_UNAVAILABLE";
    /// The daemon has no such server.
    NO_SERVER = 95, "NO_SERVER";
    /// The server has no such client.
    NO_CLIENT = 96, "NO_CLIENT";
});

impl ErrorNumber {
    /// What libvirt puts before the details, as a pattern in which `%s` stands for them. Clients
    /// look for these words.
    pub(crate) fn pattern(self) -> &'static str {
        match self {
            ErrorNumber::INTERNAL_ERROR => "internal error: %s",
            ErrorNumber::NO_SUPPORT => {
                "this function is not supported by the connection driver: %s"
            }
            ErrorNumber::NO_CONNECT => "no connection driver available for %s",
            ErrorNumber::INVALID_ARG => "invalid argument: %s",
            ErrorNumber::OPERATION_DENIED => "operation forbidden: %s",
            ErrorNumber::AUTH_FAILED => "authentication failed: %s",
            ErrorNumber::ARGUMENT_UNSUPPORTED => "argument unsupported: %s",
            ErrorNumber::AUTH_CANCELLED => "authentication cancelled: %s",
            ErrorNumber::ACCESS_DENIED => "access denied: %s",
            ErrorNumber::AUTH_UNAVAILABLE => "authentication unavailable: %s",
            ErrorNumber::NO_SERVER => "Server not found: %s",
            ErrorNumber::NO_CLIENT => "Client not found: %s",
            _ => "%s",
        }
    }
}

/// Where it went wrong (`virErrorDomain`). Daemons send many others than those that have a name
/// here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorDomain(pub i32);

named!(ErrorDomain {
    /// Nowhere in particular.
    NONE = 0, "NONE";
    /// In the RPC, and in what every daemon has.
    RPC = 7, "RPC";
    /// In the client's own driver.
    REMOTE = 13, "REMOTE";
    /// In the access control.
    ACCESS = 55, "ACCESS";
    /// In polkit.
    POLKIT = 60, "POLKIT";
    /// In the administration of the daemon.
    ADMIN = 62, "ADMIN";
});

/// How bad it is (`virErrorLevel`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorLevel(pub i32);

named!(ErrorLevel {
    /// Nothing happened.
    NONE = 0, "NONE";
    /// It went on.
    WARNING = 1, "WARNING";
    /// It failed.
    ERROR = 2, "ERROR";
});
