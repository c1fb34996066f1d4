//! The names of typed parameters in the admin program, from libvirt's `libvirt-admin.h`.

/// The fewest threads, a uint.
pub const WORKERS_MIN: &str = "minWorkers";
/// The most threads, a uint.
pub const WORKERS_MAX: &str = "maxWorkers";
/// How many threads there are, a uint.
pub const WORKERS_CURRENT: &str = "nWorkers";
/// How many of them do nothing, a uint.
pub const WORKERS_FREE: &str = "freeWorkers";
/// How many more there are for calls that cannot wait, a uint.
pub const WORKERS_PRIORITY: &str = "prioWorkers";
/// How many calls wait for a thread, a uint.
pub const JOB_QUEUE_DEPTH: &str = "jobQueueDepth";

/// How many clients there may be, a uint.
pub const CLIENTS_MAX: &str = "nclients_max";
/// How many there are, a uint.
pub const CLIENTS_CURRENT: &str = "nclients";
/// How many that have not authenticated themselves there may be, a uint; zero for any number.
pub const CLIENTS_UNAUTH_MAX: &str = "nclients_unauth_max";
/// How many of those there are, a uint.
pub const CLIENTS_UNAUTH_CURRENT: &str = "nclients_unauth";

/// Whether a client may only read, a boolean.
pub const READ_ONLY: &str = "readonly";
/// The address of a client on the network, a string.
pub const SOCKET_ADDR: &str = "sock_addr";
/// The name that SASL found out, a string.
pub const SASL_USER_NAME: &str = "sasl_user_name";
/// The name in a client's certificate, a string.
pub const X509_DISTINGUISHED_NAME: &str = "tls_x509_dname";
/// The number of the user on a unix socket, an int.
pub const UNIX_USER_ID: &str = "unix_user_id";
/// Its name, a string.
pub const UNIX_USER_NAME: &str = "unix_user_name";
/// The number of the user's group, an int.
pub const UNIX_GROUP_ID: &str = "unix_group_id";
/// Its name, a string.
pub const UNIX_GROUP_NAME: &str = "unix_group_name";
/// The process on a unix socket, an int.
pub const UNIX_PROCESS_ID: &str = "unix_process_id";
/// A client's SELinux context, a string.
pub const SELINUX_CONTEXT: &str = "selinux_context";
