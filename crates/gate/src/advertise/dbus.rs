//! Avahi's D-Bus interfaces, as its introspection files (`org.freedesktop.Avahi.*.xml`) tell them.

/// The whole of Avahi.
pub(super) mod server {
    use zbus::{OwnedObjectPath, proxy};

    /// States (`AvahiServerState`).
    pub(in crate::advertise) const RUNNING: i32 = 2;
    pub(in crate::advertise) const FAILURE: i32 = 4;

    #[proxy(
        interface = "org.freedesktop.Avahi.Server",
        default_service = "org.freedesktop.Avahi",
        default_path = "/"
    )]
    pub(in crate::advertise) trait Server {
        fn get_state(&self) -> zbus::Result<i32>;
        fn entry_group_new(&self) -> zbus::Result<OwnedObjectPath>;
        fn get_alternative_service_name(&self, name: &str) -> zbus::Result<String>;

        #[zbus(signal)]
        fn state_changed(&self, state: i32, error: &str) -> zbus::Result<()>;
    }
}

/// Records that come and go together.
pub(super) mod entry_group {
    use zbus::proxy;

    /// States (`AvahiEntryGroupState`).
    pub(in crate::advertise) const ESTABLISHED: i32 = 2;
    pub(in crate::advertise) const COLLISION: i32 = 3;
    pub(in crate::advertise) const FAILURE: i32 = 4;

    #[proxy(
        interface = "org.freedesktop.Avahi.EntryGroup",
        default_service = "org.freedesktop.Avahi"
    )]
    pub(in crate::advertise) trait EntryGroup {
        fn commit(&self) -> zbus::Result<()>;
        fn reset(&self) -> zbus::Result<()>;

        #[allow(clippy::too_many_arguments, reason = "it is what Avahi wants")]
        fn add_service(
            &self,
            interface: i32,
            protocol: i32,
            flags: u32,
            name: &str,
            kind: &str,
            domain: &str,
            host: &str,
            port: u16,
            txt: &[Vec<u8>],
        ) -> zbus::Result<()>;

        #[zbus(signal)]
        fn state_changed(&self, state: i32, error: &str) -> zbus::Result<()>;
    }
}
