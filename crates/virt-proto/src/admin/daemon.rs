//! The calls about the connection and about the daemon as a whole.

use super::field::{call, payload};
use crate::xdr::{DecodeError, Payload, Reader, Writer};

payload! {
    /// CONNECT_OPEN.
    Open {
        /// None are defined.
        flags: u32,
    }
}

/// CONNECT_CLOSE: the server answers, then closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close;

/// CONNECT_GET_LIB_VERSION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetLibVersion;

payload! {
    /// The daemon's version.
    LibVersion {
        /// A million for each major version, a thousand for each minor one.
        version: u64,
    }
}

payload! {
    /// CONNECT_GET_LOGGING_OUTPUTS.
    GetLoggingOutputs {
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// Where the log goes.
    LoggingOutputs {
        /// In the syntax of `log_outputs`.
        outputs: String,
        /// How many there are.
        count: u32,
    }
}

payload! {
    /// CONNECT_GET_LOGGING_FILTERS.
    GetLoggingFilters {
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// What is logged.
    LoggingFilters {
        /// In the syntax of `log_filters`, if there are any.
        filters: Option<String>,
        /// How many there are.
        count: u32,
    }
}

payload! {
    /// CONNECT_SET_LOGGING_OUTPUTS.
    SetLoggingOutputs {
        /// In the syntax of `log_outputs`; nothing, or nothing in it, means what the daemon began
        /// with.
        outputs: Option<String>,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// CONNECT_SET_LOGGING_FILTERS.
    SetLoggingFilters {
        /// In the syntax of `log_filters`; nothing, or nothing in it, means none.
        filters: Option<String>,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// CONNECT_SET_DAEMON_TIMEOUT.
    SetDaemonTimeout {
        /// Seconds without clients after which the daemon ends; zero for never.
        timeout: u32,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// CONNECT_DAEMON_SHUTDOWN.
    DaemonShutdown {
        /// [`DaemonShutdown::PRESERVE`] or nothing.
        flags: u32,
    }
}

impl DaemonShutdown {
    /// The flag that what runs is kept for the next daemon (`VIR_DAEMON_SHUTDOWN_PRESERVE`).
    pub const PRESERVE: u32 = 1 << 0;
}

call!(Open, CONNECT_OPEN, ());
call!(Close, CONNECT_CLOSE, ());
call!(GetLibVersion, CONNECT_GET_LIB_VERSION, LibVersion);
call!(
    GetLoggingOutputs,
    CONNECT_GET_LOGGING_OUTPUTS,
    LoggingOutputs
);
call!(
    GetLoggingFilters,
    CONNECT_GET_LOGGING_FILTERS,
    LoggingFilters
);
call!(SetLoggingOutputs, CONNECT_SET_LOGGING_OUTPUTS, ());
call!(SetLoggingFilters, CONNECT_SET_LOGGING_FILTERS, ());
call!(SetDaemonTimeout, CONNECT_SET_DAEMON_TIMEOUT, ());
call!(DaemonShutdown, CONNECT_DAEMON_SHUTDOWN, ());

impl Payload for Close {
    fn encode_to(&self, _writer: &mut Writer) {}

    fn decode_from(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Close)
    }
}

impl Payload for GetLibVersion {
    fn encode_to(&self, _writer: &mut Writer) {}

    fn decode_from(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(GetLibVersion)
    }
}
