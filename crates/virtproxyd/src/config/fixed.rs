//! Settings that a running daemon cannot change: sockets are opened at the start.

use super::Config;

impl Config {
    /// The settings that take effect at the next start only, as far as they are others than in
    /// `running`.
    pub(crate) fn fixed_that_differ(&self, running: &Config) -> impl Iterator<Item = &'static str> {
        let (new, old) = (&self.listening, &running.listening);
        let (limits, before) = (&self.limits, &running.limits);
        let fixed = [
            ("listen_tls", new.tls != old.tls),
            ("listen_tcp", new.tcp != old.tcp),
            ("tls_port", new.tls_port != old.tls_port),
            ("tcp_port", new.tcp_port != old.tcp_port),
            ("listen_addr", new.address != old.address),
            ("unix_sock_group", new.unix_group != old.unix_group),
            ("unix_sock_ro_perms", new.unix_ro_mode != old.unix_ro_mode),
            ("unix_sock_rw_perms", new.unix_rw_mode != old.unix_rw_mode),
            (
                "unix_sock_admin_perms",
                new.unix_admin_mode != old.unix_admin_mode,
            ),
            ("unix_sock_dir", new.unix_folder != old.unix_folder),
            (
                "max_queued_clients",
                limits.queued_clients != before.queued_clients,
            ),
            (
                "admin_max_queued_clients",
                limits.admin_queued_clients != before.admin_queued_clients,
            ),
        ];
        let differ = fixed.into_iter().filter(|(_, differs)| *differs);
        differ.map(|(name, _)| name)
    }
}
