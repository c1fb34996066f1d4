//! The calls about the servers of a daemon.

use super::field::{Field, Params, call, field, get_list, payload, put_list};
use crate::xdr::{DecodeError, Reader, Writer};

payload! {
    /// A server (`admin_nonnull_server`).
    ServerName {
        /// Its name.
        name: String,
    }
}

field!(ServerName);

impl Field for Vec<ServerName> {
    fn put(&self, writer: &mut Writer) {
        put_list(self, writer);
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        get_list(reader, 4, name)
    }
}

payload! {
    /// CONNECT_LIST_SERVERS.
    ListServers {
        /// Zero if only the number of servers is wanted.
        need_results: u32,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// All servers, in the order of their names.
    ServerList {
        /// They, if they were wanted.
        servers: Vec<ServerName>,
        /// How many there are.
        count: u32,
    }
}

payload! {
    /// CONNECT_LOOKUP_SERVER; the reply is the server.
    LookupServer {
        /// The name.
        name: String,
        /// None are defined, and libvirt takes any.
        flags: u32,
    }
}

payload! {
    /// SERVER_GET_THREADPOOL_PARAMETERS.
    GetThreadpool {
        /// The server.
        server: ServerName,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// The numbers of a server's threads.
    Threadpool {
        /// Named in [`param`](super::param).
        params: Params<32>,
    }
}

payload! {
    /// SERVER_SET_THREADPOOL_PARAMETERS.
    SetThreadpool {
        /// The server.
        server: ServerName,
        /// What is to change.
        params: Params<32>,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// SERVER_GET_CLIENT_LIMITS.
    GetClientLimits {
        /// The server.
        server: ServerName,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// How many clients there are and may be.
    ClientLimits {
        /// Named in [`param`](super::param).
        params: Params<32>,
    }
}

payload! {
    /// SERVER_SET_CLIENT_LIMITS.
    SetClientLimits {
        /// The server.
        server: ServerName,
        /// What is to change.
        params: Params<32>,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// SERVER_UPDATE_TLS_FILES.
    UpdateTlsFiles {
        /// The server.
        server: ServerName,
        /// None are defined.
        flags: u32,
    }
}

call!(ListServers, CONNECT_LIST_SERVERS, ServerList);
call!(LookupServer, CONNECT_LOOKUP_SERVER, ServerName);
call!(GetThreadpool, SERVER_GET_THREADPOOL_PARAMETERS, Threadpool);
call!(SetThreadpool, SERVER_SET_THREADPOOL_PARAMETERS, ());
call!(GetClientLimits, SERVER_GET_CLIENT_LIMITS, ClientLimits);
call!(SetClientLimits, SERVER_SET_CLIENT_LIMITS, ());
call!(UpdateTlsFiles, SERVER_UPDATE_TLS_FILES, ());
