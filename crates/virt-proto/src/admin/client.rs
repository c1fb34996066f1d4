//! The calls about the clients of a server.

use super::field::{Field, Params, call, field, get_list, payload, put_list};
use super::server::ServerName;
use crate::named::named;
use crate::xdr::{DecodeError, Reader, Writer};

/// How a client is connected (`virClientTransport`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transport(pub u32);

named!(Transport {
    /// Over a unix socket.
    UNIX = 0, "UNIX";
    /// Over TCP.
    TCP = 1, "TCP";
    /// Over TLS.
    TLS = 2, "TLS";
});

impl Field for Transport {
    fn put(&self, writer: &mut Writer) {
        writer.u32(self.0);
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        reader.u32(name).map(Transport)
    }
}

payload! {
    /// A client (`admin_nonnull_client`). Only its server and number count where a client of the
    /// admin program sends it.
    Client {
        /// Its server.
        server: ServerName,
        /// Its number.
        id: u64,
        /// When it came, in seconds since 1970 (UTC).
        timestamp: i64,
        /// How it is connected.
        transport: Transport,
    }
}

field!(Client);

impl Field for Vec<Client> {
    fn put(&self, writer: &mut Writer) {
        put_list(self, writer);
    }

    fn get(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
        get_list(reader, 24, name)
    }
}

payload! {
    /// SERVER_LIST_CLIENTS.
    ListClients {
        /// The server.
        server: ServerName,
        /// Zero if only the number of clients is wanted.
        need_results: u32,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// All clients of a server.
    ClientList {
        /// They, if they were wanted.
        clients: Vec<Client>,
        /// How many there are.
        count: u32,
    }
}

payload! {
    /// SERVER_LOOKUP_CLIENT; the reply is the client.
    LookupClient {
        /// The server.
        server: ServerName,
        /// The client's number.
        id: u64,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// CLIENT_GET_INFO.
    GetClientInfo {
        /// The client.
        client: Client,
        /// None are defined.
        flags: u32,
    }
}

payload! {
    /// Who a client is.
    ClientInfo {
        /// Named in [`param`](super::param).
        params: Params<64>,
    }
}

payload! {
    /// CLIENT_CLOSE.
    CloseClient {
        /// The client.
        client: Client,
        /// None are defined.
        flags: u32,
    }
}

call!(ListClients, SERVER_LIST_CLIENTS, ClientList);
call!(LookupClient, SERVER_LOOKUP_CLIENT, Client);
call!(GetClientInfo, CLIENT_GET_INFO, ClientInfo);
call!(CloseClient, CLIENT_CLOSE, ());
