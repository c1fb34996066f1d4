//! The admin program: how a daemon itself is looked at and changed (`admin_protocol.x`).
//!
//! Each call is a type that implements [`Call`](crate::Call) for
//! [`Program::ADMIN`](crate::Program::ADMIN). Its good answer is the call's `Reply`, its bad one a
//! [`RemoteError`](crate::RemoteError). A daemon consists of servers, each with a name and clients of
//! its own; a client has a number within its server.
//!
//! Unlike the remote program, no call has to wait for CONNECT_OPEN. Layouts, numbers and limits are
//! those of libvirt 11.2.

mod client;
mod daemon;
mod field;
pub mod param;
mod server;
#[cfg(test)]
mod tests;

pub use client::{
    Client, ClientInfo, ClientList, CloseClient, GetClientInfo, ListClients, LookupClient,
    Transport,
};
pub use daemon::{
    Close, DaemonShutdown, GetLibVersion, GetLoggingFilters, GetLoggingOutputs, LibVersion,
    LoggingFilters, LoggingOutputs, Open, SetDaemonTimeout, SetLoggingFilters, SetLoggingOutputs,
};
pub use field::Params;
pub use server::{
    ClientLimits, GetClientLimits, GetThreadpool, ListServers, LookupServer, ServerList,
    ServerName, SetClientLimits, SetThreadpool, Threadpool, UpdateTlsFiles,
};

/// The newest libvirt all of whose admin calls are known here, as GET_LIB_VERSION tells versions:
/// a million for each major, a thousand for each minor one.
pub const LIB_VERSION: u64 = 11_002_000;

/// More servers or clients are not listed (`ADMIN_SERVER_LIST_MAX`, `ADMIN_CLIENT_LIST_MAX`).
pub const LIST_MAX: usize = 16384;

/// The numbers of the procedures (`enum admin_procedure`).
pub mod procedure {
    use crate::program::Procedure;

    /// Begins. Nothing depends on it.
    pub const CONNECT_OPEN: Procedure = Procedure(1);
    /// Ends the connection, once answered.
    pub const CONNECT_CLOSE: Procedure = Procedure(2);
    /// Asks for the daemon's version.
    pub const CONNECT_GET_LIB_VERSION: Procedure = Procedure(3);
    /// Asks for all servers.
    pub const CONNECT_LIST_SERVERS: Procedure = Procedure(4);
    /// Asks whether there is a server of this name.
    pub const CONNECT_LOOKUP_SERVER: Procedure = Procedure(5);
    /// Asks for the numbers of a server's threads.
    pub const SERVER_GET_THREADPOOL_PARAMETERS: Procedure = Procedure(6);
    /// Changes the numbers of a server's threads.
    pub const SERVER_SET_THREADPOOL_PARAMETERS: Procedure = Procedure(7);
    /// Asks for the clients of a server.
    pub const SERVER_LIST_CLIENTS: Procedure = Procedure(8);
    /// Asks for one client of a server.
    pub const SERVER_LOOKUP_CLIENT: Procedure = Procedure(9);
    /// Asks who a client is.
    pub const CLIENT_GET_INFO: Procedure = Procedure(10);
    /// Makes a client go.
    pub const CLIENT_CLOSE: Procedure = Procedure(11);
    /// Asks how many clients there are and may be.
    pub const SERVER_GET_CLIENT_LIMITS: Procedure = Procedure(12);
    /// Changes how many clients there may be.
    pub const SERVER_SET_CLIENT_LIMITS: Procedure = Procedure(13);
    /// Asks where the log goes.
    pub const CONNECT_GET_LOGGING_OUTPUTS: Procedure = Procedure(14);
    /// Asks what is logged.
    pub const CONNECT_GET_LOGGING_FILTERS: Procedure = Procedure(15);
    /// Changes where the log goes.
    pub const CONNECT_SET_LOGGING_OUTPUTS: Procedure = Procedure(16);
    /// Changes what is logged.
    pub const CONNECT_SET_LOGGING_FILTERS: Procedure = Procedure(17);
    /// Has a server read its certificates again.
    pub const SERVER_UPDATE_TLS_FILES: Procedure = Procedure(18);
    /// Changes after how long without clients the daemon ends, since libvirt 8.6.
    pub const CONNECT_SET_DAEMON_TIMEOUT: Procedure = Procedure(19);
    /// Ends the daemon, since libvirt 11.2.
    pub const CONNECT_DAEMON_SHUTDOWN: Procedure = Procedure(20);
}
